/** What a route's handler iterates over: a pipe, and how its other end is told that nobody pulls any more. */
import type { PartPipe } from './part-pipe.ts';
import type { StreamPart, UpstreamStream } from './route.ts';

export class PulledStream implements UpstreamStream {
  readonly #pipe: Pick<PartPipe, 'next' | 'stop'>;
  readonly #cancel: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.end(this.#signal?.reason);

  /** `cancel` closes the upstream; it may be called after the end. */
  constructor(
    pipe: Pick<PartPipe, 'next' | 'stop'>,
    signal: AbortSignal | undefined,
    cancel: () => void,
  ) {
    this.#pipe = pipe;
    this.#cancel = cancel;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<StreamPart>> {
    return this.#pipe.next();
  }

  return(): Promise<IteratorResult<StreamPart>> {
    this.end(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  async *text(): AsyncIterableIterator<string> {
    for await (const part of this) if (part.type === 'text') yield part.text;
  }

  end(error: unknown): void {
    this.#pipe.stop(error);
    this.#cancel();
  }

  /** It is over: its signal has nothing to end. */
  over(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
