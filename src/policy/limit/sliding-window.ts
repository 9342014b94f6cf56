/**
 * The guide's SlidingWindow, from two counters: what the window before had, in the share that still lies within the last `windowSizeMs`, and what this window has.
 *
 *     word 0:  windows 0, 2, 4 …     │ epoch, 12 bits │ count, 20 bits │
 *     word 1:  windows 1, 3, 5 …     │ epoch, 12 bits │ count, 20 bits │      epoch 0 = a word nobody used
 *
 * Each window of the grid admits at most the limit, so the long-run rate is exact. The error: requests of the window before are taken to lie evenly in it. If all of them
 * came at its end, a window that is not on the grid may hold up to twice the limit (less one, but for threads that take at its boundary at the same moment); `SlidingLog` has no such error, at the
 * price of a word per request.
 */
import { MillraceError } from '../../errors.ts';
import { type Algorithm, CLOCK_LAG_MS, type LimitWords } from './limit-words.ts';

const COUNT_BITS = 20;
const COUNT_MAX = 2 ** COUNT_BITS - 1;
/** Odd, so that an epoch meets the same word again only after twice as many windows. */
const EPOCHS = 4_095;
/** A word this many windows ahead was written by a thread whose clock is newer; more: it is an old one. */
const EPOCHS_AHEAD_MAX = 2_000;

export class SlidingWindow implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond: number;
  readonly windowMs: number;
  readonly #aheadMax: number;
  // Where a call stands; numbers, so that no call makes an object.
  #current = 0;
  #former = 0;
  #epoch = 0;
  #left = 0;
  #seen = 0;
  #count = 0;
  #before = 0;

  constructor(maxRequestsPerSecond: number, maxBurst: number, windowSizeMs: number) {
    const { base, windowMs } = windowOf(maxRequestsPerSecond, windowSizeMs);
    this.windowMs = windowMs;
    this.capacity = base + maxBurst;
    if (this.capacity > COUNT_MAX) {
      throw new MillraceError('MILLRACE_LIMIT_INVALID', {
        option: 'windowSizeMs',
        expected: `a window of at most ${COUNT_MAX} requests`,
        got: this.capacity,
      });
    }
    this.ratePerSecond = (this.capacity * 1_000) / this.windowMs;
    const lag = 1 + Math.ceil(CLOCK_LAG_MS / this.windowMs);
    this.#aheadMax = Math.min(lag, EPOCHS_AHEAD_MAX);
  }

  take(words: LimitWords, at: number, cost: number, nowMs: number): boolean {
    if (cost > this.capacity) return false;
    for (;;) {
      this.#look(words, at, nowMs);
      const count = this.#count + cost;
      if (this.#before * this.#left + count > this.capacity) return false;
      if (this.#put(words, Math.ceil(count))) return true;
    }
  }

  charge(words: LimitWords, at: number, cost: number, nowMs: number): void {
    for (;;) {
      this.#look(words, at, nowMs);
      if (this.#put(words, Math.min(COUNT_MAX, Math.ceil(this.#count + cost)))) return;
    }
  }

  give(words: LimitWords, at: number, cost: number, nowMs: number): void {
    for (;;) {
      this.#look(words, at, nowMs);
      // Taken in the window before: what is left of it weighs less by the minute, and is let be.
      if (this.#count === 0) return;
      if (this.#put(words, Math.max(0, this.#count - Math.floor(cost)))) return;
    }
  }

  waitMs(words: LimitWords, at: number, cost: number, nowMs: number): number {
    if (cost > this.capacity) return Number.POSITIVE_INFINITY;
    this.#look(words, at, nowMs);
    const room = this.capacity - this.#count - cost;
    // Within this window, when enough of the former one has left.
    if (room >= 0) {
      return this.#before === 0 ? 0 : Math.max(0, this.#left - room / this.#before) * this.windowMs;
    }
    // In the next one, when enough of this one has.
    const share = Math.max(0, 1 - (this.capacity - cost) / this.#count);
    return (this.#left + share) * this.windowMs;
  }

  remaining(words: LimitWords, at: number, nowMs: number): number {
    this.#look(words, at, nowMs);
    return Math.max(0, Math.floor(this.capacity - this.#before * this.#left - this.#count));
  }

  resetMs(words: LimitWords, at: number, nowMs: number): number {
    this.#look(words, at, nowMs);
    if (this.#count > 0) return (1 + this.#left) * this.windowMs;
    return this.#before > 0 ? this.#left * this.windowMs : 0;
  }

  isIdle(words: LimitWords, at: number, nowMs: number): boolean {
    const epoch = epochOf(Math.floor(nowMs / this.windowMs));
    return this.#isOld(words.load(at), epoch) && this.#isOld(words.load(at + 1), epoch);
  }

  /** Neither this window's, nor one that a thread whose clock differs could still want. */
  #isOld(word: number, epoch: number): boolean {
    if (word === 0) return true;
    const age = (epoch - (word >>> COUNT_BITS) + EPOCHS) % EPOCHS;
    return age > 1 + this.#aheadMax && age < EPOCHS - this.#aheadMax;
  }

  #look(words: LimitWords, at: number, nowMs: number): void {
    const place = nowMs / this.windowMs;
    let window = Math.floor(place);
    this.#left = 1 - (place - window);
    this.#epoch = epochOf(window);
    const odd = Math.abs(window % 2);
    const newer = Math.max(
      this.#ahead(words.load(at + odd)),
      this.#ahead(words.load(at + 1 - odd)),
    );
    if (newer > 0) {
      // Our clock lags behind that of whoever wrote: its window counts, or it would be wiped.
      window += newer;
      this.#left = 1;
      this.#epoch = epochOf(window);
    }
    this.#current = at + Math.abs(window % 2);
    this.#former = at + 1 - Math.abs(window % 2);
    this.#seen = words.load(this.#current);
    this.#count = this.#seen >>> COUNT_BITS === this.#epoch ? this.#seen & COUNT_MAX : 0;
    const former = words.load(this.#former);
    const earlier = epochOf(window - 1);
    this.#before = former >>> COUNT_BITS === earlier ? former & COUNT_MAX : 0;
  }

  #put(words: LimitWords, count: number): boolean {
    return words.compareAndSet(this.#current, this.#seen, (this.#epoch << COUNT_BITS) | count);
  }

  /** By how many windows the word is newer than this call's clock. */
  #ahead(word: number): number {
    if (word === 0) return 0;
    const ahead = ((word >>> COUNT_BITS) - this.#epoch + EPOCHS) % EPOCHS;
    return ahead <= this.#aheadMax ? ahead : 0;
  }
}

/** A window that would hold less than one request is stretched until it holds one. */
export function windowOf(
  maxRequestsPerSecond: number,
  windowSizeMs: number,
): { readonly base: number; readonly windowMs: number } {
  // What the division adds or takes in its last digit is no request.
  const whole = Math.floor((maxRequestsPerSecond * windowSizeMs) / 1_000 + 1e-9);
  const base = Math.max(1, whole);
  return { base, windowMs: (base * 1_000) / maxRequestsPerSecond };
}

function epochOf(window: number): number {
  return 1 + (((window % EPOCHS) + EPOCHS) % EPOCHS);
}
