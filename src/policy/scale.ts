/**
 * The size of a pool that follows its load without flapping. Two thresholds far apart; whoever crosses one for long enough moves the size to where the
 * load lies in the middle between them, in one step.
 *
 *     load/size ≥ up for 2 ticks     ─▶ size = load ÷ middle      (quick: somebody waits)
 *     load/size ≤ down for 10 ticks  ─▶ size = load ÷ middle      (slow: a connection costs little; never below min)
 *
 * So a square wave between any two loads changes the size at most twice a period: after a move the same load lies in the middle of the band, and only the
 * other load can lie outside.
 */

export interface ScaleRules {
  readonly min: number;
  readonly max: number;
  /** Shares of the size in use, 0 to 1; `down` lies well below `up`. */
  readonly up: number;
  readonly down: number;
}

/** Time constant of the moving average. */
const AVERAGE_MS = 5_000;
const UP_TICKS = 2;
const DOWN_TICKS = 10;
/** Between two changes. */
const COOLDOWN_MS = 2_000;

export class Scale {
  readonly #rules: ScaleRules;
  #size: number;
  #average = 0;
  #seenMs: number | undefined;
  #above = 0;
  #below = 0;
  /** Largest load since it lies below. */
  #most = 0;
  #changedMs = -Infinity;

  constructor(rules: ScaleRules, size: number = rules.min) {
    this.#rules = rules;
    this.#size = clamp(size, rules);
  }

  /** Connections the pool may have. */
  get size(): number {
    return this.#size;
  }

  /** Somebody else has changed it. */
  adopt(size: number): void {
    this.#size = clamp(size, this.#rules);
  }

  /** Moving average of what is in use and waited for. */
  get average(): number {
    return this.#average;
  }

  /**
   * Looks at the load: `inUse` now, `waiting` for a place. `mayGrow`: false while the circuit is open, when more connections to a failing upstream
   * help nobody. Returns the size from here on.
   */
  tick(inUse: number, waiting: number, nowMs: number, mayGrow: boolean): number {
    const load = inUse + waiting;
    const elapsedMs = this.#seenMs === undefined ? 0 : Math.max(0, nowMs - this.#seenMs);
    this.#seenMs = nowMs;
    const kept = Math.exp(-elapsedMs / AVERAGE_MS);
    this.#average = this.#average * kept + load * (1 - kept);
    const { up, down } = this.#rules;
    // Growth looks at the load itself, because whoever waits, waits now; shrinking also at what was there a moment ago.
    const lasting = Math.max(this.#average, load);
    this.#above = load >= up * this.#size ? this.#above + 1 : 0;
    this.#below = lasting <= down * this.#size ? this.#below + 1 : 0;
    this.#most = this.#below > 1 ? Math.max(this.#most, load) : load;
    if (nowMs - this.#changedMs < COOLDOWN_MS) return this.#size;
    const middle = (up + down) / 2;
    if (this.#above >= UP_TICKS && mayGrow) this.#become(Math.ceil(load / middle), nowMs);
    else if (this.#below >= DOWN_TICKS) this.#become(Math.ceil(this.#most / middle), nowMs);
    return this.#size;
  }

  #become(size: number, nowMs: number): void {
    const next = clamp(size, this.#rules);
    if (next === this.#size) return;
    this.#size = next;
    this.#changedMs = nowMs;
    this.#above = this.#below = 0;
  }
}

const clamp = (size: number, { min, max }: ScaleRules) => Math.min(max, Math.max(min, size));

/** The size at once when `load` does not fit (or fills more than its share): where the load lies in the middle. Never smaller than now. */
export function grown(
  size: number,
  load: number,
  { max, up, down }: Omit<ScaleRules, 'min'>,
): number {
  if (load < up * size) return size;
  return Math.max(size, Math.min(max, Math.ceil(load / ((up + down) / 2))));
}
