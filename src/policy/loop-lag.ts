/** How late a thread's loop turns: the lateness of a tick that comes anyway, as the worst of the last few. Costs no timer of its own. */

const TICKS = 15;

export class LoopLag {
  readonly #periodMs: number;
  readonly #late = new Float64Array(TICKS);
  #at = 0;
  #lastMs: number;

  constructor(periodMs: number, nowMs: number) {
    this.#periodMs = periodMs;
    this.#lastMs = nowMs;
  }

  /** A tick came. Returns the worst lateness of the last ticks, milliseconds. */
  tick(nowMs: number): number {
    this.#late[this.#at] = Math.max(0, nowMs - this.#lastMs - this.#periodMs);
    this.#at = (this.#at + 1) % TICKS;
    this.#lastMs = nowMs;
    return Math.max(...this.#late);
  }
}
