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

  /** How long to wait before going on, in milliseconds; -1 where `maxBurst` already wait. Every call that gets a time has taken its place; no other, of whatever thread, gets the same. */
  pace(words: LimitWords, at: number, cost: number, nowMs: number): number {
    const ticks = this.takeTicks(words, at, cost, nowMs);
    return ticks < 0 ? ticks : ticks / this.#rate;
  }

  /** The longest time `pace` can answer. */
  get paceMsMax(): number {
    return ((this.capacity - 1) * 1_000) / this.#rate;
  }
}
