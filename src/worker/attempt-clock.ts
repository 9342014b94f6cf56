/**
 * The clocks of one attempt: one deadline that moves with its phase, beside it the first delta's until that came. All of them stand
 * still while our own back-pressure holds the attempt.
 */
import type { Clock } from '../policy/ports.ts';
import type { Alarm, Alarms } from './alarms.ts';

export class AttemptClock {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  #dueMs = Infinity;
  #firstDueMs: number;
  #early = true;
  #pausedMs = -1;

  constructor(clock: Clock, alarms: Alarms, firstDueMs: number, ring: () => void) {
    this.#clock = clock;
    this.#firstDueMs = firstDueMs;
    this.#alarm = alarms.create(ring);
  }

  get isPaused(): boolean {
    return this.#pausedMs >= 0;
  }

  /** It rang because the first delta is late. */
  get isFirstLate(): boolean {
    return this.#clock.now() >= this.#firstDueMs;
  }

  /** A phase begins and may last this long. `early`: the first delta's deadline counts too. */
  enter(limitMs: number, early: boolean, nowMs = this.#clock.now()): void {
    this.#dueMs = nowMs + limitMs;
    this.#early = early;
    if (!this.isPaused) this.#arm();
  }

  pause(): void {
    this.#pausedMs = this.#clock.now();
    this.#alarm.off();
  }

  /** Runs on; returns for how long it stood. */
  go(): number {
    const stoodMs = this.#clock.now() - this.#pausedMs;
    this.#pausedMs = -1;
    this.#dueMs += stoodMs;
    this.#firstDueMs += stoodMs;
    this.#arm();
    return stoodMs;
  }

  free(): void {
    this.#alarm.free();
  }

  #arm(): void {
    this.#alarm.set(this.#early ? Math.min(this.#dueMs, this.#firstDueMs) : this.#dueMs);
  }
}
