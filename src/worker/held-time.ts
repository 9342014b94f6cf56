/** How long something was held by at least one of several holders. */
export class HeldTime {
  #holders = 0;
  #sinceMs = 0;
  /** In all, up to the last release. */
  ms = 0;

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** True: it was free. */
  hold(nowMs: number): boolean {
    if (this.#holders++ > 0) return false;
    this.#sinceMs = nowMs;
    return true;
  }

  /** How long it was held, if it is free now. */
  release(nowMs: number): number | undefined {
    if (--this.#holders > 0) return undefined;
    const ms = nowMs - this.#sinceMs;
    this.ms += ms;
    return ms;
  }
}
