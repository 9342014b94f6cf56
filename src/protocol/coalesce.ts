/**
 * Merges what is ready together: deltas of one kind and part that came in one read leave as one. Order stays; nothing waits
 * for a later read. The first delta of a stream goes at once, alone: it is the one somebody waits for.
 */
import type { MillraceError } from '../errors.ts';
import type { DeltaKind, EventSink, FinishReason, Usage } from './events.ts';

/** One for all: there is a coalescer for each stream. */
const NONE: Uint8Array = new Uint8Array(0);
const SCRATCH_BYTES_MIN = 1024;
const SCRATCH_BYTES_MAX = 16 * 1024;

/**
 * A sink in front of a sink. A delta that has no neighbour to merge with is handed on as the range it came as; only merged ones are
 * copied, into a scratch of at most 16 KiB per read: when it is full, deltas leave unmerged.
 */
export class Coalescer implements EventSink {
  readonly #sink: EventSink;
  readonly #onMerged: (() => void) | undefined;
  #started = false;

  #waiting = false;
  #kind: DeltaKind = 0;
  #part = 0;
  #bytes = NONE;
  #start = 0;
  #end = 0;

  /** What was handed out of it stays untouched until `flush`: it is filled from the front, and replaced when it grows. */
  #scratch = NONE;
  #used = 0;

  /** `onMerged` is called for every delta that leaves as a part of an earlier one. */
  constructor(sink: EventSink, onMerged?: () => void) {
    this.#sink = sink;
    this.#onMerged = onMerged;
  }

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#started) {
      this.#started = true;
      this.#sink.delta(kind, part, bytes, start, end);
      return;
    }
    if (this.#waiting) {
      if (kind === this.#kind && part === this.#part && this.#merge(bytes, start, end)) {
        this.#onMerged?.();
        return;
      }
      this.#release();
    }
    this.#waiting = true;
    this.#kind = kind;
    this.#part = part;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  tool(index: number, id: string, name: string): void {
    this.#release();
    this.#sink.tool(index, id, name);
  }

  usage(usage: Usage): void {
    this.#release();
    this.#sink.usage(usage);
  }

  flush(): void {
    this.#release();
    this.#sink.flush();
    this.#used = 0;
  }

  finish(reason: FinishReason): void {
    this.#release();
    this.#sink.finish(reason);
  }

  fail(error: MillraceError): void {
    this.#release();
    this.#sink.fail(error);
  }

  #release(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    const bytes = this.#bytes;
    this.#sink.delta(this.#kind, this.#part, bytes, this.#start, this.#end);
  }

  /** Appends to the waiting delta; false when there is no room. */
  #merge(bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#end - this.#start;
    const more = end - start;
    const scratch = this.#scratch;
    // The waiting delta ends where the scratch is filled up to: it only has to grow.
    const grows = this.#bytes === scratch && this.#end === this.#used;
    const at = this.#used;
    const needed = at + more + (grows ? 0 : length);
    if (needed > scratch.length) return this.#grow(length + more) && this.#merge(bytes, start, end);
    if (!grows) {
      copy(this.#bytes, this.#start, this.#end, scratch, at);
      this.#bytes = scratch;
      this.#start = at;
      this.#end = at + length;
    }
    copy(bytes, start, end, scratch, this.#end);
    this.#end += more;
    this.#used = this.#end;
    return true;
  }

  /** A larger scratch, empty: ranges of the old one stay as they are. */
  #grow(needed: number): boolean {
    if (this.#scratch.length >= SCRATCH_BYTES_MAX || needed > SCRATCH_BYTES_MAX) return false;
    const wanted = Math.max(SCRATCH_BYTES_MIN, 2 * this.#scratch.length, 2 * needed);
    this.#scratch = new Uint8Array(Math.min(SCRATCH_BYTES_MAX, wanted));
    this.#used = 0;
    return true;
  }
}

/** Short copies byte by byte: a view and a native call cost more than a token's few bytes. */
function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 64) {
    to.set(from.subarray(start, end), at);
    return;
  }
  for (let i = start, j = at; i < end; i++, j++) to[j] = from[i];
}
