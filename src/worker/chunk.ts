/**
 * Stage ⑤: the text of an answer in pieces of a reader's characters, where its dialect asks for it (options `chunks`).
 *
 *   Coalescer ─▶ ChunkStage ─▶ the dialect's encoder ─▶ Tap (which keeps the rhythm)
 *
 * Pieces are cut between graphemes. Nothing waits for a piece to be full. What an upstream itself cut inside of a grapheme waits for its
 * rest, if it is plain that there will be one; never before the first content, which goes as it came.
 */
import type { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import { type BodyCut, cutBody } from '../protocol/chunk-text.ts';
import type { Encoder } from '../protocol/dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../protocol/events.ts';
import type { Means } from './means.ts';
import { Pace } from './pace.ts';
import type { Tap } from './tap.ts';

/** The encoder itself where nobody asked for pieces. */
export function chunked(means: Means, dialect: string, encoder: Encoder, tap: Tap): Encoder {
  const asked = means.options.chunks[dialect] as Options['chunks'][string] | undefined;
  if (!asked || (asked.chunkSize === 0 && asked.delayMs === 0)) return encoder;
  const { chunkSize, delayMs } = asked;
  if (delayMs > 0) tap.paceBy(new Pace(means.clock, means.alarms, delayMs, () => tap.resume()));
  return new ChunkStage(encoder, chunkSize, tap);
}

/** What keeps the rhythm of the pieces. */
export interface Steps {
  /** A piece of text comes. */
  step(): void;
  /** The answer breaks off: nobody waits any more. */
  hurry(): void;
}

export class ChunkStage implements Encoder {
  readonly #next: Encoder;
  readonly #size: number;
  readonly #steps: Steps;
  readonly #cut: BodyCut = { end: 0, whole: 0 };
  /** The begin of a grapheme, and what it is a piece of. */
  #held: Uint8Array | undefined;
  #kind: DeltaKind = Delta.text;
  #part = 0;

  /** `size` 0: nothing is cut. */
  constructor(next: Encoder, size: number, steps: Steps) {
    this.#next = next;
    this.#size = size;
    this.#steps = steps;
  }

  get sequence(): number {
    return this.#next.sequence;
  }
  get committed(): boolean {
    return this.#next.committed;
  }

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    const held = this.#held;
    if (held !== undefined && kind === this.#kind && part === this.#part) {
      this.#held = undefined;
      const joined = new Uint8Array(held.length + end - start);
      joined.set(held);
      joined.set(bytes.subarray(start, end), held.length);
      return this.#pieces(kind, part, joined, 0, joined.length);
    }
    this.#release();
    if (this.#size === 0 || kind === Delta.arguments) this.#say(kind, part, bytes, start, end);
    else this.#pieces(kind, part, bytes, start, end);
  }

  from(upstream: string, attempt?: number, continued?: boolean): void {
    this.#release();
    this.#next.from(upstream, attempt, continued);
  }
  tool(index: number, id: string, name: string): void {
    this.#release();
    this.#next.tool(index, id, name);
  }
  usage(usage: Usage): void {
    this.#release();
    this.#next.usage(usage);
  }
  flush(): void {
    this.#next.flush();
  }
  finish(reason: FinishReason): void {
    this.#release();
    this.#next.finish(reason);
  }
  fail(error: MillraceError): void {
    this.#release();
    this.#steps.hurry();
    this.#next.fail(error);
  }
  cancel(): void {
    this.#release();
    this.#steps.hurry();
    this.#next.cancel();
  }
  epitaph(error: MillraceError): ReturnType<Encoder['epitaph']> {
    return this.#next.epitaph(error);
  }

  #pieces(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    const cut = this.#cut;
    let from = start;
    for (;;) {
      cutBody(bytes, from, end, this.#size, cut);
      if (cut.end === end) break;
      this.#say(kind, part, bytes, from, cut.end);
      from = cut.end;
    }
    const whole = this.#next.committed ? cut.whole : end;
    if (whole > from) this.#say(kind, part, bytes, from, whole);
    if (whole === end) return;
    // The caller's bytes are borrowed.
    this.#held = new Uint8Array(bytes.subarray(whole, end));
    this.#kind = kind;
    this.#part = part;
  }

  /** Whatever it was the begin of will not come. */
  #release(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#say(this.#kind, this.#part, held, 0, held.length);
    this.#next.flush();
  }

  #say(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    this.#steps.step();
    this.#next.delta(kind, part, bytes, start, end);
  }
}
