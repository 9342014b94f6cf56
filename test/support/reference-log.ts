/** A sliding window without error, as one thread counts it: the time of every admitted request of the last window, in a ring. */
import { CLOCK_LAG_MS } from '../../src/policy/limit/limit-words.ts';

export class ReferenceLog {
  readonly capacity: number;
  readonly #windowMs: number;
  readonly #times: Float64Array;
  #next = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(capacity: number, windowMs: number) {
    this.capacity = capacity;
    this.#windowMs = windowMs;
    this.#times = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
  }

  /** Whole costs only. */
  take(cost: number, nowMs: number): boolean {
    if (cost > this.capacity) return false;
    const now = this.#advance(nowMs);
    // The oldest entries are overwritten: the last of those must have left the window.
    const last = this.#times[(this.#next + cost - 1) % this.capacity];
    if (last > now - this.#windowMs) return false;
    for (let left = cost; left > 0; left--) {
      this.#times[this.#next] = now;
      this.#next = (this.#next + 1) % this.capacity;
    }
    return true;
  }

  remaining(nowMs: number): number {
    const from = this.#advance(nowMs) - this.#windowMs;
    return this.#times.reduce((free, at) => (at > from ? free : free + 1), 0);
  }

  isIdle(nowMs: number): boolean {
    return this.#lastMs <= nowMs - this.#windowMs;
  }

  /** A clock that went back a little waits; one that jumped back starts anew. */
  #advance(nowMs: number): number {
    if (nowMs < this.#lastMs - CLOCK_LAG_MS) {
      this.#times.fill(Number.NEGATIVE_INFINITY);
      this.#lastMs = nowMs;
    }
    this.#lastMs = Math.max(this.#lastMs, nowMs);
    return this.#lastMs;
  }
}
