/**
 * The guide's SlidingWindow without its error, for small limits: a word for each request of the window, with the time at which it was admitted.
 *
 *     word 0:  where to look first (a hint)
 *     log:     │ 17 │ 905 │ 0 │ 630 │        ticks, wrapping at 2^32; 0 = never used
 *
 * Each word admits a request, and the next one no sooner than a whole window later: so no window, wherever it begins, holds more requests than there are words. A request takes the first word that is
 * free by compare-and-swap; nothing else has to agree, whatever threads do or wherever one dies. An admission is written as the tick after it and read by the tick before: rounding never admits too
 * early, and at most two ticks too late.
 *
 * Words are taken in turn, so that none stays behind for long: one that was left alone over the whole horizon (three days; eight where a window is a day) would count as fresh for one window.
 */
import { MillraceError } from '../../errors.ts';
import { type Algorithm, CLOCK_LAG_MS, type LimitWords } from './limit-words.ts';
import { windowOf } from './sliding-window.ts';

export const EXACT_REQUESTS_MAX = 1_024;
const TICKS_PER_MS_MAX = 16;
const WINDOW_TICKS_MAX = 2 ** 29;

export class SlidingLog implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond: number;
  readonly windowMs: number;
  readonly #ticksPerMs: number;
  readonly #window: number;
  readonly #lag: number;
  /** What is left of each, for `waitMs`. */
  readonly #rests: Float64Array;
  /** The word that was taken last, and what was there before; numbers, so that no call makes an object. */
  #word = 0;
  #before = 0;

  /** The words must have logs of that many words at least. */
  constructor(maxRequestsPerSecond: number, maxBurst: number, windowSizeMs: number) {
    const { base, windowMs } = windowOf(maxRequestsPerSecond, windowSizeMs);
    this.windowMs = windowMs;
    this.capacity = base + maxBurst;
    if (this.capacity > EXACT_REQUESTS_MAX) {
      throw new MillraceError('MILLRACE_LIMIT_INVALID', {
        option: 'exact',
        expected: `a window of at most ${EXACT_REQUESTS_MAX} requests`,
        got: this.capacity,
      });
    }
    this.ratePerSecond = (this.capacity * 1_000) / windowMs;
    this.#ticksPerMs = Math.min(TICKS_PER_MS_MAX, WINDOW_TICKS_MAX / windowMs);
    this.#window = Math.ceil(windowMs * this.#ticksPerMs);
    this.#lag = Math.ceil(CLOCK_LAG_MS * this.#ticksPerMs);
    this.#rests = new Float64Array(this.capacity);
  }

  /** A cost above 1 is taken one by one, and put back where that does not go all the way: others may be refused meanwhile for want of what it held. */
  take(words: LimitWords, at: number, cost: number, nowMs: number): boolean {
    const wanted = Math.ceil(cost);
    if (wanted > this.capacity) return false;
    if (wanted <= 0) return true;
    if (wanted === 1) return this.#takeOne(words, at, nowMs);
    const taken: (readonly [word: number, before: number])[] = [];
    while (taken.length < wanted) {
      if (this.#takeOne(words, at, nowMs)) taken.push([this.#word, this.#before]);
      else {
        const stamp = this.#stamp(nowMs);
        for (const [word, before] of taken) words.compareAndSet(word, stamp, before);
        return false;
      }
    }
    return true;
  }

  charge(words: LimitWords, at: number, cost: number, nowMs: number): void {
    const log = words.logAt(at);
    const stamp = this.#stamp(nowMs);
    for (let left = Math.min(this.capacity, Math.ceil(cost)); left > 0; left--) {
      if (this.#takeOne(words, at, nowMs)) continue;
      // None is free: the one that would be next begins anew.
      const oldest = this.#most(words, log, nowMs, 'oldest');
      if (oldest >= 0) words.compareAndSet(oldest, words.load(oldest), stamp);
    }
  }

  give(words: LimitWords, at: number, cost: number, nowMs: number): void {
    const log = words.logAt(at);
    for (let left = Math.floor(cost); left > 0; left--) {
      const newest = this.#most(words, log, nowMs, 'newest');
      if (newest < 0) return;
      words.compareAndSet(newest, words.load(newest), 0);
    }
  }

  waitMs(words: LimitWords, at: number, cost: number, nowMs: number): number {
    const wanted = Math.max(1, Math.ceil(cost));
    if (wanted > this.capacity) return Number.POSITIVE_INFINITY;
    this.#look(words, at, nowMs);
    return this.#rests.sort()[wanted - 1] / this.#ticksPerMs;
  }

  remaining(words: LimitWords, at: number, nowMs: number): number {
    this.#look(words, at, nowMs);
    let free = 0;
    for (const rest of this.#rests) if (rest === 0) free++;
    return free;
  }

  resetMs(words: LimitWords, at: number, nowMs: number): number {
    this.#look(words, at, nowMs);
    return Math.max(...this.#rests) / this.#ticksPerMs;
  }

  isIdle(words: LimitWords, at: number, nowMs: number): boolean {
    const log = words.logAt(at);
    const now = this.#now(nowMs);
    for (let word = log; word < log + this.capacity; word++) {
      // A thread whose clock lags may still see as taken what is past here.
      if (this.#rest(words.load(word), now) > -this.#lag) return false;
    }
    return true;
  }

  #takeOne(words: LimitWords, at: number, nowMs: number): boolean {
    const log = words.logAt(at);
    const now = this.#now(nowMs);
    const hint = words.load(at);
    for (let n = 0; n < this.capacity; n++) {
      const index = (hint + n) % this.capacity;
      const before = words.load(log + index);
      if (this.#rest(before, now) > 0) continue;
      if (!words.compareAndSet(log + index, before, this.#stamp(nowMs))) continue;
      words.compareAndSet(at, hint, (index + 1) % this.capacity);
      this.#word = log + index;
      this.#before = before;
      return true;
    }
    return false;
  }

  /** Of those that are taken; -1: none is. */
  #most(words: LimitWords, log: number, nowMs: number, which: 'oldest' | 'newest'): number {
    const now = this.#now(nowMs);
    let found = -1;
    let best = 0;
    for (let word = log; word < log + this.capacity; word++) {
      const rest = this.#rest(words.load(word), now);
      if (rest <= 0) continue;
      if (found >= 0 && (which === 'oldest' ? rest >= best : rest <= best)) continue;
      found = word;
      best = rest;
    }
    return found;
  }

  /** Fills in what is left of each word's window, in ticks. */
  #look(words: LimitWords, at: number, nowMs: number): void {
    const log = words.logAt(at);
    const now = this.#now(nowMs);
    for (let index = 0; index < this.capacity; index++)
      this.#rests[index] = Math.max(0, this.#rest(words.load(log + index), now));
  }

  /** Ticks until the word is free; 0 or less: it is. -Infinity: it says nothing. */
  #rest(stamp: number, now: number): number {
    if (stamp === 0) return Number.NEGATIVE_INFINITY;
    const age = (now - stamp) | 0;
    // Further ahead than two clocks may differ: from before the ticks went round, or before a clock jumped back.
    return age < -this.#lag ? Number.NEGATIVE_INFINITY : this.#window - age;
  }

  #now(nowMs: number): number {
    return Math.floor(nowMs * this.#ticksPerMs) | 0;
  }

  #stamp(nowMs: number): number {
    return Math.ceil(nowMs * this.#ticksPerMs) | 0 || 1;
  }
}
