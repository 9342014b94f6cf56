/**
 * The line for places at upstreams, on one worker. A place that this worker gives back is offered at once; one that another worker gives back, or that a
 * cooldown's end brings, is found by looking again, as long as somebody waits.
 */
import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import { type Try, Waiters } from '../policy/waiters.ts';
import type { Alarm, Alarms } from './alarms.ts';

const LOOK_MS = 10;

export class PlaceQueue {
  readonly #waiters = new Waiters();
  readonly #options: () => Options;
  readonly #clock: Clock;
  readonly #look: Alarm;
  readonly #soon: (task: () => void) => void;
  #offering = false;

  /** `options`: those in force. */
  constructor(
    options: () => Options,
    clock: Clock,
    alarms: Alarms,
    soon: (task: () => void) => void,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#soon = soon;
    this.#look = alarms.create(() => this.#wake());
  }

  ahead(model: string): boolean {
    return this.#waiters.ahead(model);
  }

  /** Undefined: the line is full. Otherwise how to leave it. */
  join(model: string, go: Try): (() => void) | undefined {
    if (this.#waiters.count >= this.#options().pool.waitersMax) return undefined;
    const leave = this.#waiters.join(model, go);
    this.#plan();
    return leave;
  }

  /** A place of this worker came free. Offered when the caller is done: it may be about to take it again. */
  roomCame(): void {
    if (this.#waiters.count === 0 || this.#offering) return;
    this.#offering = true;
    this.#soon(() => {
      this.#offering = false;
      this.#wake();
    });
  }

  #wake(): void {
    this.#waiters.wake();
    this.#plan();
  }

  #plan(): void {
    if (this.#waiters.count > 0) this.#look.set(this.#clock.now() + LOOK_MS);
  }
}
