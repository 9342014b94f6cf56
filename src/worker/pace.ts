/** The rhythm in which the text of one answer leaves: a time before which the next piece does not. */
import type { Clock } from '../policy/ports.ts';
import type { Alarm, Alarms } from './alarms.ts';

export class Pace {
  readonly #clock: Clock;
  readonly #alarms: Alarms;
  readonly #delayMs: number;
  readonly #due: () => void;
  /** While a piece waits. */
  #alarm: Alarm | undefined;
  #dueMs = 0;

  /** `due`: a piece that was early may leave now. */
  constructor(clock: Clock, alarms: Alarms, delayMs: number, due: () => void) {
    this.#clock = clock;
    this.#alarms = alarms;
    this.#delayMs = delayMs;
    this.#due = due;
  }

  /** Is it too early for a piece? Then `due` will be called. */
  early(): boolean {
    if (this.#clock.now() >= this.#dueMs) return false;
    this.#alarm ??= this.#alarms.create(() => {
      this.close();
      this.#due();
    });
    this.#alarm.set(this.#dueMs);
    return true;
  }

  /** A piece has left. Alarms ring a little late: the rhythm counts from when it was due, unless it came later than that. */
  left(): void {
    const nowMs = this.#clock.now();
    const fromMs = nowMs - this.#dueMs < this.#delayMs ? this.#dueMs : nowMs;
    this.#dueMs = fromMs + this.#delayMs;
  }

  /** Nothing waits any more. */
  close(): void {
    this.#alarm?.free();
    this.#alarm = undefined;
  }
}
