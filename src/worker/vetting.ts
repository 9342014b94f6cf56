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
  done(): void;
}

export class Vetting implements Running {
  readonly #parts: VettingParts;
  #stream: Running | undefined;
  #over = false;

  constructor(parts: VettingParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts.ask((answer) => this.#settle(answer));
  }

  cancel(cause: 'client' | 'gone'): void {
    if (this.#stream) return this.#stream.cancel(cause);
    const { encoder } = this.#parts;
    this.#end(() => cause === 'client' && encoder.cancel());
  }

  abort(error: MillraceError): void {
    if (this.#stream) return this.#stream.abort(error);
    this.#fail(error);
  }

  #settle(answer: ModelRequest | MillraceError): void {
    if (this.#over) return;
    if (answer instanceof MillraceError) return this.#fail(answer);
    this.#stream = this.#parts.stream(answer);
    this.#stream.start();
  }

  #fail(error: MillraceError): void {
    const { means, encoder } = this.#parts;
    if (this.#over) return;
    means.tally.error(error.code);
    this.#end(() => encoder.fail(error));
  }

  #end(say: () => unknown): void {
    if (this.#over) return;
    this.#over = true;
    const { means, tap } = this.#parts;
    const done = () => this.#parts.done();
    try {
      say();
    } catch (thrown) {
      means.fault('encode', asMillraceError(thrown));
      tap.settle();
    }
    if (tap.drained) done();
    else tap.onResumed(done);
  }
}
