/** A turn that `onRequest` decides about: first asked, then a stream like any other, or a failure in the dialect's words. */
import { asMillraceError, MillraceError } from '../errors.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { Means } from './means.ts';
import type { Outlet } from './tap.ts';

/** What runs on a lane: a stream, a handler, or what will be one. */
export interface Running {
  start(): void;
  /** 'client': it asked for it, and gets its word for it. 'gone': nobody listens. */
  cancel(cause: 'client' | 'gone'): void;
  /** Ends it with a failure of ours. */
  abort(error: MillraceError): void;
}

export interface VettingParts {
  readonly means: Pick<Means, 'tally' | 'fault'>;
  readonly encoder: Encoder;
  readonly tap: Outlet;
  ask(settle: (answer: ModelRequest | MillraceError) => void): void;
  /** The stream of the request that is to be sent. */
  stream(request: ModelRequest): Running;
  readonly done: () => void;
}

export class Vetting implements Running {
  /** Until there is a stream: it holds the request. */
  #parts: VettingParts | undefined;
  #stream: Running | undefined;

  constructor(parts: VettingParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts?.ask((answer) => this.#settle(answer));
  }

  cancel(cause: 'client' | 'gone'): void {
    if (this.#stream) return this.#stream.cancel(cause);
    this.#end((encoder) => cause === 'client' && encoder.cancel());
  }

  abort(error: MillraceError): void {
    if (this.#stream) return this.#stream.abort(error);
    this.#fail(error);
  }

  #settle(answer: ModelRequest | MillraceError): void {
    const parts = this.#parts;
    if (!parts) return;
    if (answer instanceof MillraceError) return this.#fail(answer);
    this.#parts = undefined;
    this.#stream = parts.stream(answer);
    this.#stream.start();
  }

  #fail(error: MillraceError): void {
    this.#parts?.means.tally.error(error.code);
    this.#end((encoder) => encoder.fail(error));
  }

  #end(say: (encoder: Encoder) => unknown): void {
    if (!this.#parts) return;
    const { means, tap, encoder, done } = this.#parts;
    this.#parts = undefined;
    try {
      say(encoder);
    } catch (thrown) {
      means.fault('encode', asMillraceError(thrown));
      tap.settle();
    }
    if (tap.drained) done();
    else tap.onResumed(done);
  }
}
