/**
 * The generic cell rate algorithm in one 32-bit word: token bucket and leaky bucket are two readings of it. The word holds the theoretical
 * arrival time (TAT), when the bucket will be full again:
 *
 *     ───┬──────────────┬───────────────────┬──▶ ticks, wrapping at 2^32
 *       now            TAT           now + tolerance
 *        ├─ taken so far ─┤─ still free ────┤
 *
 * A permit is 1,000 ticks (or fewer, where whole permits are counted in hundreds of thousands), so a tick is as long as the rate makes it, and the rate is exact. 0 stands for a word nobody used. A TAT that is further ahead than
 * the tolerance and the lag between two clocks allow is one from before the words wrapped: it counts as idle, as does one that is past. So a clock that jumps back costs at most
 * one more burst, and a word that was left alone over half of the horizon at worst refuses for as long as its burst takes; sweeping prevents that.
 * Source of the formula: ITU-T I.371 annex A, virtual scheduling.
 */
import { MillraceError } from '../../errors.ts';
import { type Algorithm, CLOCK_LAG_MS, type LimitWords } from './limit-words.ts';

const PERMIT_TICKS = 1_000;
/** Differences of ticks are signed: half of 2^32 lies ahead. */
const HORIZON_TICKS = 2 ** 31;
const TOLERANCE_TICKS_MAX = HORIZON_TICKS / 4;
/** More than any tolerance. */
const TICKS_MAX = HORIZON_TICKS / 2;
export const CAPACITY_MAX = Math.floor(TOLERANCE_TICKS_MAX / PERMIT_TICKS) - 1;
/** Where nothing smaller than a permit is counted. */
const WHOLE_CAPACITY_MAX = TOLERANCE_TICKS_MAX;

export class Gcra implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond: number;
  readonly #ticksPerMs: number;
  readonly #permit: number;
  readonly #tolerance: number;
  /** As far as it may be charged. */
  readonly #most: number;
  readonly #lag: number;
  /** A TAT further ahead than this is an old one. */
  readonly #furthest: number;

  /** `capacity`: permits at once; `debt`: as much again may be charged beyond it, in whole permits. Throws MILLRACE_LIMIT_INVALID when the word cannot hold it. */
  constructor(ratePerSecond: number, capacity: number, debt = false) {
    const max = debt ? WHOLE_CAPACITY_MAX : CAPACITY_MAX;
    if (capacity > max) {
      const expected = `at most ${max}`;
      throw new MillraceError('MILLRACE_LIMIT_INVALID', {
        option: 'maxBurst',
        expected,
        got: capacity,
      });
    }
    this.capacity = capacity;
    this.#permit = debt
      ? Math.min(PERMIT_TICKS, Math.floor(TOLERANCE_TICKS_MAX / capacity))
      : PERMIT_TICKS;
    this.#ticksPerMs = (ratePerSecond * this.#permit) / 1_000;
    this.ratePerSecond = (this.#ticksPerMs * 1_000) / this.#permit;
    this.#tolerance = capacity * this.#permit;
    this.#most = debt ? 2 * this.#tolerance : this.#tolerance;
    const lag = Math.ceil(CLOCK_LAG_MS * this.#ticksPerMs);
    this.#lag = Math.min(lag, TOLERANCE_TICKS_MAX);
    this.#furthest = this.#most + this.#lag;
  }

  take(words: LimitWords, at: number, cost: number, nowMs: number): boolean {
    // Whole numbers of 32 bits all the way: they are never boxed.
    let more = this.#permit;
    if (cost !== 1) more = Math.min(TICKS_MAX, Math.ceil(cost * more)) | 0;
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.peek(at);
      const taken = this.#taken(seen, now) + more;
      if (taken <= this.#tolerance) {
        if (words.compareAndSet(at, seen, (now + taken) | 0 || 1)) return true;
      } else if (words.load(at) === seen) return false;
      // Otherwise what was seen was old.
    }
  }

  /** Takes the cost. Returns how far the bucket's end lay ahead in that moment, in ticks; -1: it takes nothing. */
  protected takeTicks(words: LimitWords, at: number, cost: number, nowMs: number): number {
    const more = Math.ceil(cost * this.#permit);
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.load(at);
      const before = this.#taken(seen, now);
      if (before + more > this.#tolerance) return -1;
      if (words.compareAndSet(at, seen, (now + before + more) | 0 || 1)) return before;
    }
  }

  charge(words: LimitWords, at: number, cost: number, nowMs: number): void {
    const more = Math.ceil(cost * this.#permit);
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.load(at);
      const taken = Math.min(this.#most, this.#taken(seen, now) + more);
      if (words.compareAndSet(at, seen, (now + taken) | 0 || 1)) return;
    }
  }

  give(words: LimitWords, at: number, cost: number, nowMs: number): void {
    const less = Math.floor(cost * this.#permit);
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.load(at);
      if (this.#taken(seen, now) === 0) return;
      // Also into the past, and not to 0: a word that forgot how late it is would give more to whoever comes with an old clock.
      if (words.compareAndSet(at, seen, (seen - less) | 0 || -1)) return;
    }
  }

  waitMs(words: LimitWords, at: number, cost: number, nowMs: number): number {
    const more = Math.ceil(cost * this.#permit);
    if (more > this.#tolerance) return Number.POSITIVE_INFINITY;
    const over = this.takenTicks(words, at, nowMs) + more - this.#tolerance;
    return Math.max(0, over / this.#ticksPerMs);
  }

  remaining(words: LimitWords, at: number, nowMs: number): number {
    const free = this.#tolerance - this.takenTicks(words, at, nowMs);
    return Math.max(0, Math.floor(free / this.#permit));
  }

  resetMs(words: LimitWords, at: number, nowMs: number): number {
    return this.takenTicks(words, at, nowMs) / this.#ticksPerMs;
  }

  isIdle(words: LimitWords, at: number, nowMs: number): boolean {
    const seen = words.load(at);
    if (seen === 0) return true;
    const ahead = (seen - ((nowMs * this.#ticksPerMs) | 0)) | 0;
    // A thread whose clock lags may still see as taken what is past here.
    return ahead > this.#furthest || ahead < -this.#lag;
  }

  /** How far the bucket's end lies ahead. */
  takenTicks(words: LimitWords, at: number, nowMs: number): number {
    return this.#taken(words.load(at), (nowMs * this.#ticksPerMs) | 0);
  }

  #taken(seen: number, now: number): number {
    const ahead = (seen - now) | 0;
    return ahead <= 0 || ahead > this.#furthest || seen === 0 ? 0 : ahead;
  }
}
