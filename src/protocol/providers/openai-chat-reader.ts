/** Chunks of a chat completion. */
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../events.ts';
import type { EventReader, Say } from './event-reader.ts';
import { asArray, asObject } from './json-value.ts';
import { type ChunkSink, readChunk } from './openai-chat-chunk.ts';
import { errorIn } from './openai-chat-errors.ts';
import { ToolCalls, type ToolSink } from './openai-chat-tools.ts';

const ARGUMENTS = ['choices', 0, 'delta', 'tool_calls', 0, 'function', 'arguments'] as const;

/** The clock, and OpenAI's padding against guessing tokens by length. */
const volatile = [
  { name: 'created', kind: 'digits' },
  { name: 'obfuscation', kind: 'text' },
] as const;

export class OpenaiChatReader implements EventReader, ChunkSink, ToolSink {
  readonly volatile = volatile;
  readonly #upstream: string;
  readonly #tools: ToolCalls = new ToolCalls(this);
  #say: Say | undefined;

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  event(value: unknown, name: string, say: Say): void {
    const failure = errorIn(this.#upstream, name, value);
    if (failure !== undefined) return say.broken(failure);
    this.#say = say;
    const chunk = asObject(value);
    const wrong =
      chunk === undefined ? 'an event that is no object' : readChunk(chunk, this.#tools, this);
    if (wrong !== '') say.malformed(wrong);
  }

  whole(value: unknown, say: Say): void {
    // Google's compatible endpoint wraps its errors in a list.
    const answer = asObject(asArray(value)?.[0] ?? value);
    const choices = asArray(answer?.['choices'])?.map((choice) => {
      const object = asObject(choice);
      return object === undefined ? choice : { ...object, delta: object['message'] };
    });
    this.event(choices === undefined ? answer : { ...answer, choices }, '', say);
  }

  // What chunks say.

  text(kind: DeltaKind, text: string, field: string): void {
    this.#say?.text(kind, 0, text, field === '' ? undefined : ['choices', 0, 'delta', field]);
  }

  args(part: number, text: string, sole: boolean): void {
    this.#say?.text(Delta.arguments, part, text, sole ? ARGUMENTS : undefined);
  }

  tool(index: number, id: string, name: string): void {
    this.#say?.tool(index, id, name);
  }

  usage(usage: Usage): void {
    this.#say?.usage(usage);
  }

  finish(reason: FinishReason): void {
    this.#say?.finish(reason);
  }
}
