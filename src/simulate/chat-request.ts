/** The part of an OpenAI chat completion request that the simulated upstream heeds. */
import { MillraceError } from '../errors.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTool {
  readonly name: string;
  readonly parameters?: unknown;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly tools: readonly ChatTool[];
  readonly toolChoice: 'none' | 'auto' | 'required' | { readonly name: string };
  readonly parallelToolCalls: boolean;
  readonly tokensMax: number;
  readonly reasoning: boolean;
  readonly stop: readonly string[];
}

export type Fields = Readonly<Record<string, unknown>>;

/** Throws MILLRACE_JSON_INVALID or MILLRACE_FIELD_INVALID. */
export function parseChatRequest(body: string): ChatRequest {
  return chatRequestOf(parseBody(body));
}

/** The body as an object. Throws MILLRACE_JSON_INVALID or MILLRACE_FIELD_INVALID. */
export function parseBody(body: string): Fields {
  return objectOf(parseJson(body), 'the body');
}

/** Throws MILLRACE_FIELD_INVALID. */
export function chatRequestOf(fields: Fields): ChatRequest {
  const { model, messages, tools, stop } = fields;
  if (typeof model !== 'string' || model === '') throw wrong('model', 'a name', model);
  if (!Array.isArray(messages) || messages.length === 0)
    throw wrong('messages', 'a non-empty array', messages);
  if (fields['n'] !== undefined && fields['n'] !== null && fields['n'] !== 1)
    throw wrong('n', '1', fields['n']);
  const options = fields['stream_options'];
  return {
    model,
    messages: messages.map(messageOf),
    stream: fields['stream'] === true,
    includeUsage: isObject(options) && options['include_usage'] === true,
    tools: Array.isArray(tools) ? tools.map(toolOf) : [],
    toolChoice: toolChoiceOf(fields['tool_choice']),
    parallelToolCalls: fields['parallel_tool_calls'] !== false,
    tokensMax: tokensMaxOf(fields),
    reasoning:
      typeof fields['reasoning_effort'] === 'string' && fields['reasoning_effort'] !== 'none',
    stop: (Array.isArray(stop) ? stop : [stop]).filter(
      (one) => typeof one === 'string' && one !== '',
    ),
  };
}

/** What the user said last: the text that is answered. */
export function promptOf(request: ChatRequest): string {
  return request.messages.findLast((message) => message.role === 'user')?.content ?? '';
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.slice(0, 100) : 'unreadable';
    throw new MillraceError('MILLRACE_JSON_INVALID', { reason });
  }
}

function messageOf(value: unknown, index: number): ChatMessage {
  const message = objectOf(value, `messages[${index}]`);
  const { role, content } = message;
  if (typeof role !== 'string') throw wrong(`messages[${index}].role`, 'a string', role);
  return { role, content: textOf(content) };
}

/** The text of a content that is a string or a list of parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part) => (isObject(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('\n');
}

function toolOf(value: unknown, index: number): ChatTool {
  const definition = objectOf(value, `tools[${index}]`)['function'];
  const { name, parameters } = objectOf(definition, `tools[${index}].function`);
  if (typeof name !== 'string') throw wrong(`tools[${index}].function.name`, 'a string', name);
  return { name, parameters };
}

function toolChoiceOf(choice: unknown): ChatRequest['toolChoice'] {
  if (choice === 'none' || choice === 'required' || choice === 'auto') return choice;
  if (choice === undefined || choice === null) return 'auto';
  const { name } = objectOf(objectOf(choice, 'tool_choice')['function'], 'tool_choice.function');
  if (typeof name !== 'string') throw wrong('tool_choice.function.name', 'a string', name);
  return { name };
}

function tokensMaxOf(fields: Fields): number {
  const max = fields['max_completion_tokens'] ?? fields['max_tokens'];
  if (max === undefined || max === null) return Number.POSITIVE_INFINITY;
  if (typeof max === 'number' && Number.isInteger(max) && max >= 1) return max;
  throw wrong('max_completion_tokens', 'a whole number from 1', max);
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectOf(value: unknown, path: string): Fields {
  if (isObject(value)) return value;
  throw wrong(path, 'an object', value);
}

export function wrong(path: string, expected: string, got: unknown): MillraceError {
  const shown = got === undefined ? 'nothing' : (JSON.stringify(got) ?? typeof got).slice(0, 100);
  return new MillraceError('MILLRACE_FIELD_INVALID', { path, expected, got: shown });
}
