/**
 * The guide's LeakyBucket: what comes in leaks out at `maxRequestsPerSecond`. As a meter it refuses what would overflow (with `maxBurst` 0 everything is evenly
 * spaced); as a pacer it lets as many wait instead, each until its turn.
 */
import { Gcra } from './gcra.ts';
import type { LimitWords } from './limit-words.ts';

export class LeakyBucket extends Gcra {
  readonly #rate: number;

  constructor(maxRequestsPerSecond: number, maxBurst: number) {
    super(maxRequestsPerSecond, Math.max(1, maxBurst));
    this.#rate = maxRequestsPerSecond;
  }

  /**
   * Pacing: how long to wait before going on, in milliseconds; undefined where `maxBurst` already wait. Every call that gets a time has taken its place. Only for words
   * of one thread: between two threads the order of the waiting would not be theirs.
   */
  pace(words: LimitWords, at: number, cost: number, nowMs: number): number | undefined {
    const waitMs = this.resetMs(words, at, nowMs);
    return this.take(words, at, cost, nowMs) ? waitMs : undefined;
  }

  /** The longest time `pace` can answer. */
  get paceMsMax(): number {
    return ((this.capacity - 1) * 1_000) / this.#rate;
  }
}
