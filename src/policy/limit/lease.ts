/**
 * Permits taken from shared words many at a time, for a limit that several threads ask at every turn of their loops: one compare-and-swap for all of them. Every permit
 * of a lease was taken, so the limit stays exact; what is not used in time is given back. The price: up to `size` permits of each thread may lie unused for `heldMs`.
 */
import type { Algorithm, LimitWords } from './limit-words.ts';

export class Lease {
  readonly #algorithm: Algorithm;
  readonly #words: LimitWords;
  readonly #at: number;
  readonly #size: number;
  readonly #heldMs: number;
  #left = 0;
  #untilMs = 0;

  constructor(
    algorithm: Algorithm,
    words: LimitWords,
    at: number,
    { size, heldMs }: { readonly size: number; readonly heldMs: number },
  ) {
    this.#algorithm = algorithm;
    this.#words = words;
    this.#at = at;
    this.#size = size;
    this.#heldMs = heldMs;
  }

  take(cost: number, nowMs: number): boolean {
    if (this.#left >= cost && nowMs < this.#untilMs) {
      this.#left -= cost;
      return true;
    }
    return this.#refill(cost, nowMs);
  }

  /** Permits taken and not used. */
  get left(): number {
    return this.#left;
  }

  /** Gives back what nobody used. For the end, and for a thread that has not asked for a while. */
  release(nowMs: number): void {
    if (this.#left > 0) this.#algorithm.give(this.#words, this.#at, this.#left, nowMs);
    this.#left = 0;
  }

  #refill(cost: number, nowMs: number): boolean {
    this.release(nowMs);
    const size = Math.max(this.#size, cost);
    if (this.#algorithm.take(this.#words, this.#at, size, nowMs)) {
      this.#left = size - cost;
      this.#untilMs = nowMs + this.#heldMs;
      return true;
    }
    // Near the limit permits are taken one by one: none lies unused while somebody is refused.
    return this.#algorithm.take(this.#words, this.#at, cost, nowMs);
  }
}
