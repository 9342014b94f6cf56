/** So many at once: the word counts those that run. Whoever took one gives it back when it has ended. */
import type { Algorithm, LimitWords } from './limit-words.ts';

/** Nobody knows when one will end. */
const WAIT_MS = 1_000;

export class RunningCount implements Algorithm {
  readonly capacity: number;
  readonly ratePerSecond = Number.POSITIVE_INFINITY;

  constructor(max: number) {
    this.capacity = max;
  }

  take(words: LimitWords, at: number, cost: number): boolean {
    for (;;) {
      const seen = words.load(at);
      if (seen + cost > this.capacity) return false;
      if (words.compareAndSet(at, seen, seen + cost)) return true;
    }
  }

  charge(words: LimitWords, at: number, cost: number): void {
    for (;;) {
      const seen = words.load(at);
      if (words.compareAndSet(at, seen, seen + cost)) return;
    }
  }

  give(words: LimitWords, at: number, cost: number): void {
    for (;;) {
      const seen = words.load(at);
      if (words.compareAndSet(at, seen, Math.max(0, seen - cost))) return;
    }
  }

  waitMs(words: LimitWords, at: number, cost: number): number {
    if (cost > this.capacity) return Number.POSITIVE_INFINITY;
    return words.load(at) + cost > this.capacity ? WAIT_MS : 0;
  }

  remaining(words: LimitWords, at: number): number {
    return Math.max(0, this.capacity - words.load(at));
  }

  resetMs(): number {
    return 0;
  }

  isIdle(words: LimitWords, at: number): boolean {
    return words.load(at) === 0;
  }
}
