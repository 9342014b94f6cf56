/** A turn that has to wait until a limit's rate lets it begin. Meanwhile it holds its lane, and may be cancelled like any other. */
import type { MillraceError } from '../errors.ts';
import type { Alarm } from './alarms.ts';
import { hookedStream, type StreamParts } from './hooked-stream.ts';
import type { Means } from './means.ts';
import { type Running, Vetting } from './vetting.ts';

type PacingMeans = Pick<Means, 'alarms' | 'clock'>;

/** A stream that begins at `startMs`: until then it is a request, no more. */
export function pacedStream(parts: StreamParts, startMs: number): Running {
  const { means, encoder, tap, done, request } = parts;
  if (startMs <= means.clock.now()) return hookedStream(parts);
  const stream = () => hookedStream(parts);
  const waiting = { means, encoder, tap, done, stream };
  return paced(means, startMs, new Vetting({ ...waiting, ask: (settle) => settle(request) }));
}

/** The same for what can be ended before it was started. */
export function paced(means: PacingMeans, startMs: number, next: Running): Running {
  return startMs <= means.clock.now() ? next : new Paced(means, startMs, next);
}

class Paced implements Running {
  readonly #alarm: Alarm;
  readonly #startMs: number;
  readonly #next: Running;

  constructor({ alarms }: PacingMeans, startMs: number, next: Running) {
    this.#startMs = startMs;
    this.#next = next;
    this.#alarm = alarms.create(() => {
      this.#alarm.free();
      next.start();
    });
  }

  start(): void {
    this.#alarm.set(this.#startMs);
  }

  cancel(cause: 'client' | 'gone'): void {
    this.#alarm.free();
    this.#next.cancel(cause);
  }

  abort(error: MillraceError): void {
    this.#alarm.free();
    this.#next.abort(error);
  }
}
