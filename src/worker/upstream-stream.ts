/** `upstream.stream()` of a route: a Stream of its own, whose parts the handler pulls. */
import { MillraceError } from '../errors.ts';
import type { Ledger } from '../memory/contract.ts';
import type { ModelList } from '../protocol/dialect.ts';
import { toModelRequest } from '../protocol/model-request.ts';
import type {
  RouteUpstream,
  StreamPart,
  StreamRequest,
  UpstreamStream,
} from '../protocol/route.ts';
import type { SessionFacts } from '../threads/messages.ts';
import { hookedStream } from './hooked-stream.ts';
import type { Means } from './means.ts';
import type { Address } from './outbox.ts';
import { PartQueue } from './part-queue.ts';
import type { Running } from './vetting.ts';

/** In whose name it is asked, and where the account of what waits is kept. */
export interface Asker {
  readonly responseId: string;
  readonly facts: SessionFacts;
  /** What the session may ask for. */
  readonly models: ModelList;
  readonly address: Address;
  readonly ledger: Ledger;
}

/** What one handler has asked for. */
export class Asked implements RouteUpstream {
  readonly #means: Means;
  readonly #asker: Asker;
  readonly #running = new Set<Pulled>();
  #closed = false;

  constructor(means: Means, asker: Asker) {
    this.#means = means;
    this.#asker = asker;
  }

  stream(asked: StreamRequest, { signal }: { readonly signal?: AbortSignal } = {}): UpstreamStream {
    const { options } = this.#means;
    if (this.#closed) throw new MillraceError('MILLRACE_CANCELLED', {});
    signal?.throwIfAborted();
    if (this.#running.size >= options.session.runningRequestsMax) {
      throw new MillraceError('MILLRACE_OVERLOADED', {
        bound: 'session.runningRequestsMax',
        waitMs: 1_000,
      });
    }
    const request = toModelRequest(asked, this.#asker.models);
    const queue = new PartQueue(this.#asker.address, this.#asker.ledger);
    const { responseId, facts } = this.#asker;
    const { dialect, principal, keyName, trace } = facts;
    const turn = { lane: '', model: request.model, responseId, detail: undefined };
    const about = { turn, dialect, principal, keyName, trace };
    const parts = { means: this.#means, facts: about, session: facts, request };
    const make = (done: () => void) => hookedStream({ ...parts, encoder: queue, tap: queue, done });
    const pulled = new Pulled(queue, signal, make, (self) => this.#running.delete(self));
    this.#running.add(pulled);
    pulled.start();
    return pulled;
  }

  /** The handler is over: what it left running closes its sockets. */
  close(): void {
    this.#closed = true;
    for (const pulled of this.#running) pulled.end(new MillraceError('MILLRACE_CANCELLED', {}));
    this.#running.clear();
  }
}

class Pulled implements UpstreamStream {
  readonly #stream: Running;
  readonly #queue: PartQueue;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.end(this.#signal?.reason);

  constructor(
    queue: PartQueue,
    signal: AbortSignal | undefined,
    make: (done: () => void) => Running,
    over: (self: Pulled) => void,
  ) {
    this.#queue = queue;
    this.#signal = signal;
    this.#stream = make(() => {
      signal?.removeEventListener('abort', this.#onAbort);
      over(this);
    });
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  start(): void {
    this.#stream.start();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<StreamPart>> {
    return this.#queue.next();
  }

  return(): Promise<IteratorResult<StreamPart>> {
    this.end(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  async *text(): AsyncIterableIterator<string> {
    for await (const part of this) if (part.type === 'text') yield part.text;
  }

  end(error: unknown): void {
    this.#queue.stop(error);
    this.#stream.cancel('gone');
  }
}
