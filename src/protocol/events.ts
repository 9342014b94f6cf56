/**
 * What a stream says, in our own words: the middle between any provider and any dialect.
 *
 * Text travels as it came: the escaped body of a JSON string in UTF-8, without its quotes. A decoder that finds it in the
 * provider's bytes hands out the range, an encoder splices the range into its frame, and nobody decodes it on the way.
 */
import type { MillraceError } from '../errors.ts';

/** What a delta is a piece of. Numbers, because they are compared for every token. */
export const Delta = { text: 0, reasoning: 1, refusal: 2, arguments: 3 } as const;
export type DeltaKind = (typeof Delta)[keyof typeof Delta];

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface Usage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/**
 * Receives a stream in order. Exactly one of `finish` and `fail` comes, last. Whatever is handed over is borrowed until
 * `flush` returns (decoders call it at the end of every read): copy what you keep.
 */
export interface EventSink {
  /**
   * A piece of content. `bytes[start, end)` is valid UTF-8, the escaped body of a JSON string, never empty, and never ends
   * inside an escape or between the halves of a surrogate pair. `part` is the tool call's index for `arguments`, else 0.
   */
  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void;
  /** A tool call begins; its arguments follow as deltas with the same index. Id and name are decoded text. */
  tool(index: number, id: string, name: string): void;
  /** Cumulative; a later one replaces an earlier one. */
  usage(usage: Usage): void;
  /** Everything ready together has been handed over. */
  flush(): void;
  finish(reason: FinishReason): void;
  fail(error: MillraceError): void;
}
