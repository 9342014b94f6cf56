/**
 * When to refuse new work so that running work does not suffer: a share of the memory and the lag of the main thread's loop, each with
 * hysteresis, so that readiness does not flap. Pure: whoever measures calls it with what it found.
 */
import { MillraceError } from '../errors.ts';

/** The options that are met, by the number that threads exchange; 0 = none. */
export const overloadBounds = ['', 'memory.refuseAboveShare', 'server.loopLagMsMax'] as const;
/** When to come back. */
export const OVERLOAD_WAIT_MS = 1_000;

/** It ends below this part of the bound, and only after so long. */
const RELEASE_SHARE = 0.8;
const CALM_MS = 1_000;
/** One late turn is a pause, several in a row are a load. */
const LAGS = 3;

/** What a new turn is told; undefined: nothing is met. */
export function overloadError(bound: number): MillraceError | undefined {
  if (bound === 0) return undefined;
  const details = { bound: overloadBounds[bound], waitMs: OVERLOAD_WAIT_MS };
  return new MillraceError('MILLRACE_OVERLOADED', details);
}

/** What a stream ends with whose bytes find no room at all any more. */
export function memoryFull(): MillraceError {
  const bound = 'memory.memoryBytesMax';
  return new MillraceError('MILLRACE_OVERLOADED', { bound, waitMs: OVERLOAD_WAIT_MS });
}

/** One bound: met at once, left when the value stayed well below it for a while. */
class Threshold {
  #over = false;
  #calmSinceMs = Number.NaN;

  /** Whether it is met. */
  see(value: number, bound: number, nowMs: number): boolean {
    if (value >= bound) {
      this.#over = true;
      this.#calmSinceMs = Number.NaN;
    } else if (this.#over) {
      if (value > bound * RELEASE_SHARE) this.#calmSinceMs = Number.NaN;
      else if (Number.isNaN(this.#calmSinceMs)) this.#calmSinceMs = nowMs;
      else if (nowMs - this.#calmSinceMs >= CALM_MS) this.#over = false;
    }
    return this.#over;
  }
}

export class OverloadJudge {
  readonly #memory = new Threshold();
  readonly #loop = new Threshold();
  readonly #lags: number[] = [];

  /** The least of the last few lags: what the loop is late by all the time. */
  get lagMs(): number {
    return this.#lags.length < LAGS ? 0 : Math.min(...this.#lags);
  }

  /** A turn of the loop came so much too late. */
  late(ms: number): void {
    this.#lags.push(Math.max(0, ms));
    if (this.#lags.length > LAGS) this.#lags.shift();
  }

  /** Nothing ran for a while: what was measured before says nothing any more. */
  rested(): void {
    this.#lags.length = 0;
  }

  /** An index of `overloadBounds`. */
  decide(
    memoryShare: number,
    bounds: { readonly share: number; readonly lagMs: number },
    nowMs: number,
  ): number {
    const memory = this.#memory.see(memoryShare, bounds.share, nowMs);
    const loop = this.#loop.see(this.lagMs, bounds.lagMs, nowMs);
    return memory ? 1 : loop ? 2 : 0;
  }
}
