/** What the algorithms keep their state in, and what they promise: the same code runs on plain numbers and on words that threads share. */

/** 32-bit words, changed by compare-and-swap alone. A word nobody used yet is 0. */
export interface LimitWords {
  load(at: number): number;
  /** May be old: for a word that `compareAndSet` confirms. */
  peek(at: number): number;
  /** Swaps the word if it still is `expected`. */
  compareAndSet(at: number, expected: number, value: number): boolean;
  /** Words that an exact log may have beside the two of each limit; 0: it may have none. */
  readonly logWords: number;
  /** Where those begin that belong to the limit at `at`. */
  logAt(at: number): number;
}

/** One limit's arithmetic. Its state lies in up to two words from `at` on (and in its log, see LimitWords); the time is an argument, in milliseconds of one clock. */
export interface Algorithm {
  /** The most that is admitted at once; a higher cost never passes. */
  readonly capacity: number;
  /** Permits a second, as the integer arithmetic really grants them. */
  readonly ratePerSecond: number;
  /** Takes the cost, or nothing. */
  take(words: LimitWords, at: number, cost: number, nowMs: number): boolean;
  /** Takes the cost and says when its turn comes, in milliseconds from now; -1: it takes nothing. Only what spaces evenly can. */
  pace?(words: LimitWords, at: number, cost: number, nowMs: number): number;
  /** Takes the cost whether or not it is there, as far as the words can hold it. */
  charge(words: LimitWords, at: number, cost: number, nowMs: number): void;
  /** Gives back what was taken and not used. */
  give(words: LimitWords, at: number, cost: number, nowMs: number): void;
  /** How long until `take` can succeed if nobody else comes: 0 = now, Infinity = never. */
  waitMs(words: LimitWords, at: number, cost: number, nowMs: number): number;
  /** Whole permits that could be taken now. */
  remaining(words: LimitWords, at: number, nowMs: number): number;
  /** How long until all of the capacity is there again. */
  resetMs(words: LimitWords, at: number, nowMs: number): number;
  /** The words say nothing that fresh ones would not say: their place may be another key's. */
  isIdle(words: LimitWords, at: number, nowMs: number): boolean;
}

/** By how much the clock readings of two threads may differ (each reads it once a turn) before a word from the future is taken for an old one. */
export const CLOCK_LAG_MS = 2_000;

/** Words of one thread alone. */
export class PlainWords implements LimitWords {
  readonly logWords: number;
  readonly #words: Int32Array;
  readonly #logs: number;

  /** `logWords`: for each two of the `count` words. */
  constructor(count: number, logWords = 0) {
    this.#words = new Int32Array(count + Math.ceil(count / 2) * logWords);
    this.#logs = count;
    this.logWords = logWords;
  }

  logAt(at: number): number {
    return this.#logs + (at >> 1) * this.logWords;
  }

  load(at: number): number {
    return this.#words[at];
  }

  peek(at: number): number {
    return this.#words[at];
  }

  compareAndSet(at: number, expected: number, value: number): boolean {
    if (this.#words[at] !== expected) return false;
    this.#words[at] = value;
    return true;
  }
}
