/** `upstream.stream()` of a route: a Stream of its own, whose parts the handler pulls. */
import { MillraceError } from '../errors.ts';
import type { Ledger } from '../memory/contract.ts';
import type { ModelList } from '../protocol/dialect.ts';
import { toModelRequest } from '../protocol/model-request.ts';
import { PulledStream } from '../protocol/pulled-stream.ts';
import type { RouteUpstream, StreamRequest, UpstreamStream } from '../protocol/route.ts';
import type { SessionFacts } from '../threads/messages.ts';
import { hookedStream } from './hooked-stream.ts';
import type { Means } from './means.ts';
import type { Address } from './outbox.ts';
import { PartQueue } from './part-queue.ts';

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
  readonly #running = new Set<PulledStream>();
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
    const pulled: PulledStream = new PulledStream(queue.pipe, signal, () => stream.cancel('gone'));
    const done = () => {
      pulled.over();
      this.#running.delete(pulled);
    };
    const stream = hookedStream({ ...parts, encoder: queue, tap: queue, done });
    this.#running.add(pulled);
    stream.start();
    return pulled;
  }

  /** The handler is over: what it left running closes its sockets. */
  close(): void {
    this.#closed = true;
    for (const pulled of this.#running) pulled.end(new MillraceError('MILLRACE_CANCELLED', {}));
    this.#running.clear();
  }
}
