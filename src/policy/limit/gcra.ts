/**
 * The generic cell rate algorithm in one 32-bit word: token bucket and leaky bucket are two readings of it. The word holds the theoretical
 * arrival time (TAT), when the bucket will be full again:
 *
 *     ───┬──────────────┬───────────────────┬──▶ ticks, wrapping at 2^32
 *       now            TAT           now + tolerance
 *        ├─ taken so far ─┤─ still free ────┤
 *
 * A permit is 1,000 ticks, so a tick is as long as the rate makes it, and the rate is exact. 0 stands for a word nobody used. A TAT that is further ahead than
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
export const CAPACITY_MAX = Math.floor(TOLERANCE_TICKS_MAX / PERMIT_TICKS) - 1;

export class Gcra implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond: number;
  readonly #ticksPerMs: number;
  readonly #tolerance: number;
  /** A TAT further ahead than this is an old one. */
  readonly #furthest: number;

  /** `capacity`: permits at once. Throws MILLRACE_LIMIT_INVALID when the word cannot hold it. */
  constructor(ratePerSecond: number, capacity: number) {
    if (capacity > CAPACITY_MAX) {
      const expected = `at most ${CAPACITY_MAX}`;
      throw new MillraceError('MILLRACE_LIMIT_INVALID', {
        option: 'maxBurst',
        expected,
        got: capacity,
      });
    }
    this.capacity = capacity;
    this.#ticksPerMs = (ratePerSecond * PERMIT_TICKS) / 1_000;
    this.ratePerSecond = (this.#ticksPerMs * 1_000) / PERMIT_TICKS;
    this.#tolerance = capacity * PERMIT_TICKS;
    const lag = Math.ceil(CLOCK_LAG_MS * this.#ticksPerMs);
    this.#furthest = this.#tolerance + Math.min(lag, TOLERANCE_TICKS_MAX);
  }

  take(words: LimitWords, at: number, cost: number, nowMs: number): boolean {
    const more = Math.ceil(cost * PERMIT_TICKS);
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.load(at);
      const taken = this.#taken(seen, now) + more;
      if (taken > this.#tolerance) return false;
      const next = (now + taken) | 0 || 1;
      if (words.compareAndSet(at, seen, next)) return true;
    }
  }

  give(words: LimitWords, at: number, cost: number, nowMs: number): void {
    const less = Math.floor(cost * PERMIT_TICKS);
    const now = (nowMs * this.#ticksPerMs) | 0;
    for (;;) {
      const seen = words.load(at);
      const taken = this.#taken(seen, now);
      if (taken === 0) return;
      // All of it back: as nobody used it.
      const next = taken <= less ? 0 : (now + taken - less) | 0 || 1;
      if (words.compareAndSet(at, seen, next)) return;
    }
  }

  waitMs(words: LimitWords, at: number, cost: number, nowMs: number): number {
    const more = Math.ceil(cost * PERMIT_TICKS);
    if (more > this.#tolerance) return Number.POSITIVE_INFINITY;
    const over = this.takenTicks(words, at, nowMs) + more - this.#tolerance;
    return Math.max(0, over / this.#ticksPerMs);
  }

  remaining(words: LimitWords, at: number, nowMs: number): number {
    const free = this.#tolerance - this.takenTicks(words, at, nowMs);
    return Math.max(0, Math.floor(free / PERMIT_TICKS));
  }

  resetMs(words: LimitWords, at: number, nowMs: number): number {
    return this.takenTicks(words, at, nowMs) / this.#ticksPerMs;
  }

  isIdle(words: LimitWords, at: number, nowMs: number): boolean {
    const seen = words.load(at);
    if (seen === 0) return true;
    const ahead = (seen - ((nowMs * this.#ticksPerMs) | 0)) | 0;
    // A thread whose clock lags may still see as taken what is past here.
    return ahead > this.#furthest || ahead < this.#tolerance - this.#furthest;
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
