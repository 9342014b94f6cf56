/**
 * Repeatable randomness of the simulated upstream: the same seeds give the same numbers in the same order.
 */

export class Draw {
  #state: number;

  /** Several seeds (server, request number, purpose) make one stream of numbers. */
  constructor(...seeds: readonly number[]) {
    let state = 0x51ed270b;
    for (const seed of seeds) state = mix(state ^ (seed | 0)) + 0x6d2b79f5;
    this.#state = state | 0;
  }

  /** Uniform in [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  /**
   * Log-normal with this arithmetic mean; `sigma` is the deviation of the logarithm, 0 gives the mean itself. Waiting times of
   * services are skewed like this: mostly a little below the mean, now and then far above.
   */
  around(mean: number, sigma: number): number {
    if (sigma === 0) return mean;
    // Box and Muller; 1 - next() is never 0.
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return mean * Math.exp(sigma * normal - (sigma * sigma) / 2);
  }
}

/** Spreads every bit of a word over all others (the finaliser of MurmurHash3). */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
