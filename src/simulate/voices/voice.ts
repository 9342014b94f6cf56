/** One wire protocol that the simulated upstream speaks: how a request is read there, and how an answer is said. Pure. */
import type { Answer } from '../answer.ts';
import type { ChatRequest } from '../chat-request.ts';
import type { Faults } from '../faults.ts';

export interface WireEvent {
  /** Its `event:` field; absent: none. */
  readonly name?: string;
  readonly json: string;
}
export type WireEvents = readonly WireEvent[];

export interface VoiceOptions {
  readonly model: string;
  readonly createdS: number;
  readonly includeUsage: boolean;
}

/** An answer being said. */
export interface Speaker {
  /** What stands before any content. */
  opening(): WireEvents;
  /** One token each, with what its beginning or the end of the one before it needs. */
  tokens(): Iterable<WireEvents>;
  /** Content that is not the answer's: faults say it. `json`: a JSON string with its quotes. */
  text(json: string): WireEvents;
  /** An error in the stream. */
  failure(code: string, message: string): WireEvents;
  /** How it ended; with the usage where the protocol puts it there, or where a fault wants it. */
  finish(): WireEvents;
  /** Usage of its own, and what else follows the finish reason. */
  after(): WireEvents;
}

export interface Voice {
  readonly name: string;
  /** Where it is spoken: path of a POST. */
  readonly path: string;
  readonly framing: 'events' | 'lines';
  /** Ends with `[DONE]`. */
  readonly marker: boolean;
  /** Throws MILLRACE_JSON_INVALID or MILLRACE_FIELD_INVALID. */
  parse(body: string): ChatRequest;
  speak(answer: Answer, options: VoiceOptions, faults: Faults): Speaker;
  /** The body of an answer that is not streamed. */
  whole(answer: Answer, options: VoiceOptions): string;
}

/** What a token is a piece of, in the order in which answers say it. */
export type Piece =
  | { readonly kind: 'reasoning' | 'content' | 'refusal'; readonly text: string }
  | { readonly kind: 'call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

export function* piecesOf(answer: Answer): Generator<Piece> {
  for (const text of answer.reasoning) yield { kind: 'reasoning', text };
  for (const text of answer.content) yield { kind: 'content', text };
  for (const text of answer.refusal) yield { kind: 'refusal', text };
  for (const [index, { id, name, fragments }] of answer.calls.entries()) {
    yield { kind: 'call', index, id, name };
    for (const text of fragments) yield { kind: 'arguments', index, text };
  }
}
