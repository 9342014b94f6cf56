/** One stream's stay in the line for places: joined, timed, and left exactly once, whichever way it ends. */
import { MillraceError } from '../errors.ts';
import type { Try } from '../policy/waiters.ts';
import type { Alarm } from './alarms.ts';
import type { Means } from './means.ts';

export class PlaceWait {
  readonly #means: Means;
  #leave: (() => void) | undefined;
  #alarm: Alarm | undefined;

  constructor(means: Means) {
    this.#means = means;
  }

  /** `go` is asked whenever room may have come, and calls `end` before it takes it; `late` says that nobody waits longer than this, or that the line is full. */
  begin(model: string, go: Try, late: (error: MillraceError) => void): void {
    const { queue, options, clock, alarms } = this.#means;
    const { waitTimeoutMs } = options.pool;
    const error = new MillraceError('MILLRACE_UPSTREAM_BUSY', { model, waitMs: waitTimeoutMs });
    const leave = waitTimeoutMs === 0 ? undefined : queue.join(model, go);
    if (!leave) return late(error);
    this.#leave = leave;
    this.#alarm = alarms.create(() => {
      this.end();
      late(error);
    });
    this.#alarm.set(clock.now() + waitTimeoutMs);
  }

  end(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#alarm?.free();
    this.#alarm = undefined;
  }
}
