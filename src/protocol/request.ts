/** A turn as providers understand it: dialects decode into it, providers encode from it. */

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}
export interface ImagePart {
  readonly type: 'image';
  readonly url: string;
  readonly detail?: string;
}
export type ContentPart = TextPart | ImagePart;

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as the model wrote it. */
  readonly arguments: string;
}

export type Message =
  | { readonly role: 'system' | 'developer' | 'user'; readonly content: readonly ContentPart[] }
  | {
      readonly role: 'assistant';
      readonly content: readonly ContentPart[];
      readonly toolCalls?: readonly ToolCall[];
    }
  | { readonly role: 'tool'; readonly callId: string; readonly content: string };

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** A JSON Schema, passed on as it came. */
  readonly parameters?: unknown;
  readonly strict?: boolean;
}

export type ToolChoice = 'none' | 'auto' | 'required' | { readonly name: string };

export interface ModelRequest {
  readonly model: string;
  /** Id of the response that it continues: the upstream that made that one is asked first. */
  readonly previousId?: string;
  readonly messages: readonly Message[];
  readonly tools?: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly temperature?: number;
  readonly topP?: number;
  readonly maxOutputTokens?: number;
  readonly reasoningEffort?: string;
  /** In the shape of chat's `response_format` (a Responses `text.format` is turned into it); the shape is checked, the schema passed on. */
  readonly responseFormat?: unknown;
  /** Texts at which the answer ends, at most four. */
  readonly stop?: readonly string[];
  readonly seed?: number;
  readonly user?: string;
}
