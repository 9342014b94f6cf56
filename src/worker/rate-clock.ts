/** The fourth clock: an answer that trickles is as good as none. Looks once a window; time that we held the attempt ourselves counts for none. */

import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import type { Alarm, Alarms } from './alarms.ts';

export type RateRules = Pick<Options['stream'], 'minTokensPerSecond' | 'rateWindowMs'>;

interface World {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly options: { readonly stream: RateRules };
}

export class RateClock {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #rules: RateRules;
  readonly #count: () => number;
  #before = 0;
  #dueMs = 0;
  #pausedMs = -1;

  /** `count`: deltas so far. The first window begins now. Undefined: there is no lower bound. */
  static of(world: World, count: () => number, slow: () => void): RateClock | undefined {
    const isBound = world.options.stream.minTokensPerSecond > 0;
    return isBound ? new RateClock(world, count, slow) : undefined;
  }

  private constructor({ clock, alarms, options }: World, count: () => number, slow: () => void) {
    this.#clock = clock;
    this.#rules = options.stream;
    this.#count = count;
    this.#alarm = alarms.create(() => {
      if (this.#isSlow()) slow();
      else this.#next();
    });
    this.#next();
  }

  pause(): void {
    if (this.#pausedMs >= 0) return;
    this.#pausedMs = this.#clock.now();
    this.#alarm.off();
  }

  go(): void {
    if (this.#pausedMs < 0) return;
    this.#dueMs += this.#clock.now() - this.#pausedMs;
    this.#pausedMs = -1;
    this.#alarm.set(this.#dueMs);
  }

  free(): void {
    this.#alarm.free();
  }

  #isSlow(): boolean {
    const { minTokensPerSecond, rateWindowMs } = this.#rules;
    return this.#count() - this.#before < (minTokensPerSecond * rateWindowMs) / 1000;
  }

  #next(): void {
    this.#before = this.#count();
    this.#dueMs = this.#clock.now() + this.#rules.rateWindowMs;
    this.#alarm.set(this.#dueMs);
  }
}
