/**
 * Between a provider's decoder and the encoder of the client's dialect: counts what comes, keeps a failure back (before the
 * commit point it means another attempt, not an answer), and keeps usage back until there is content it belongs to.
 */
import { asMillraceError, type MillraceError } from '../errors.ts';
import type { DeltaKind, EventSink, FinishReason, Usage } from '../protocol/events.ts';
import type { Transcript } from './transcript.ts';

export class Gate implements EventSink {
  /** Deltas and tool calls so far. */
  pieces = 0;
  contentBytes = 0;
  finished = false;
  reason: FinishReason | undefined;
  error: MillraceError | undefined;
  lastUsage: Usage | undefined;
  readonly #next: EventSink;
  readonly #first: () => void;
  readonly #transcript: Transcript | undefined;
  #usageWaits = false;

  /** `first`: content comes, and nothing came before it. */
  constructor(next: EventSink, first: () => void = () => {}, transcript?: Transcript) {
    this.#next = next;
    this.#first = first;
    this.#transcript = transcript;
  }

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.pieces++ === 0) this.#first();
    this.contentBytes += end - start;
    this.#transcript?.delta(kind, bytes, start, end);
    this.#next.delta(kind, part, bytes, start, end);
  }

  tool(index: number, id: string, name: string): void {
    if (this.pieces++ === 0) this.#first();
    this.#transcript?.spoil();
    this.#next.tool(index, id, name);
  }

  usage(usage: Usage): void {
    this.lastUsage = usage;
    this.#usageWaits = true;
  }

  flush(): void {
    // Once a read is enough, for those who meter it.
    if (this.pieces > 0) this.#passUsage();
    this.#next.flush();
  }

  finish(reason: FinishReason): void {
    this.#passUsage();
    if (this.pieces === 0) this.#first();
    this.finished = true;
    this.reason = reason;
    this.#next.finish(reason);
  }

  fail(error: MillraceError): void {
    // A provider of the user's may fail with any error.
    this.error ??= asMillraceError(error);
  }

  /** The failure after all: it ends the answer. What came before it goes first. */
  passFailure(error: MillraceError): void {
    this.#passUsage();
    this.#next.fail(error);
  }

  #passUsage(): void {
    if (!this.#usageWaits || !this.lastUsage) return;
    this.#usageWaits = false;
    this.#next.usage(this.lastUsage);
  }
}
