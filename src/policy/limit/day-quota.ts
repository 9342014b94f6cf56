/**
 * So much a day (UTC), in one word: the day it was used on, and how much of it.
 *
 *     │ day, 5 bits │ used, 27 bits │      day: 1 to 31, turning; 0 = a word nobody used
 *
 * Exact within its day: what comes back on a later day is gone with its own. The time is the wall clock: a clock that jumps by days begins another one. Large quotas are
 * counted in units of several tokens, at most a 2^25th of the quota each, and every charge is rounded up to one.
 */
import type { Algorithm, LimitWords } from './limit-words.ts';

const DAY_MS = 86_400_000;
const DAYS = 31;
const USED_BITS = 27;
const USED_MAX = 2 ** USED_BITS - 1;
/** Half of what the word holds: the other half is for what was used beyond the quota. */
const UNITS_MAX = 2 ** (USED_BITS - 1);

export class DayQuota implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond: number;
  readonly #unit: number;
  readonly #units: number;

  constructor(perDay: number) {
    this.capacity = perDay;
    this.ratePerSecond = perDay / (DAY_MS / 1_000);
    this.#unit = Math.ceil(perDay / UNITS_MAX);
    this.#units = Math.floor(perDay / this.#unit);
  }

  take(words: LimitWords, at: number, cost: number, wallMs: number): boolean {
    return this.#add(words, at, cost, wallMs, this.#units);
  }

  charge(words: LimitWords, at: number, cost: number, wallMs: number): void {
    this.#add(words, at, cost, wallMs, USED_MAX);
  }

  give(words: LimitWords, at: number, cost: number, wallMs: number): void {
    const less = Math.floor(cost / this.#unit);
    for (;;) {
      const seen = words.load(at);
      const day = this.#dayOf(seen, wallMs);
      if (seen >>> USED_BITS !== day) return;
      const used = Math.max(0, (seen & USED_MAX) - less);
      if (words.compareAndSet(at, seen, (day << USED_BITS) | used)) return;
    }
  }

  waitMs(words: LimitWords, at: number, cost: number, wallMs: number): number {
    const more = Math.ceil(cost / this.#unit);
    if (more > this.#units) return Number.POSITIVE_INFINITY;
    return this.#used(words.load(at), wallMs) + more <= this.#units
      ? 0
      : DAY_MS - (wallMs % DAY_MS);
  }

  remaining(words: LimitWords, at: number, wallMs: number): number {
    return Math.max(0, this.#units - this.#used(words.load(at), wallMs)) * this.#unit;
  }

  resetMs(words: LimitWords, at: number, wallMs: number): number {
    return this.#used(words.load(at), wallMs) === 0 ? 0 : DAY_MS - (wallMs % DAY_MS);
  }

  isIdle(words: LimitWords, at: number, wallMs: number): boolean {
    return this.#used(words.load(at), wallMs) === 0;
  }

  #add(words: LimitWords, at: number, cost: number, wallMs: number, max: number): boolean {
    const more = Math.ceil(cost / this.#unit);
    for (;;) {
      const seen = words.load(at);
      const day = this.#dayOf(seen, wallMs);
      const used = (seen >>> USED_BITS === day ? seen & USED_MAX : 0) + more;
      // Beyond what the word holds nothing is counted any more.
      if (used > max && max === this.#units) return false;
      if (words.compareAndSet(at, seen, (day << USED_BITS) | Math.min(used, USED_MAX))) return true;
    }
  }

  #used(seen: number, wallMs: number): number {
    return seen >>> USED_BITS === this.#dayOf(seen, wallMs) ? seen & USED_MAX : 0;
  }

  /** Today; or tomorrow, where somebody whose clock is ahead has begun it. */
  #dayOf(seen: number, wallMs: number): number {
    const today = Math.floor(wallMs / DAY_MS) % DAYS;
    const next = (today + 1) % DAYS;
    return seen >>> USED_BITS === next + 1 ? next + 1 : today + 1;
  }
}
