/** The transport of a worker: our own reader, or undici for upstreams that ask for it. */
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  Transport,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import { EventSocketTransport } from './event-socket.ts';
import { HttpTransport } from './http.ts';
import { RawTransport } from './raw.ts';
import type { SocketOptions } from './sockets.ts';
import { WebSocketTransport } from './websocket.ts';

export class UpstreamTransport implements Transport {
  readonly #raw: RawTransport;
  readonly #undici: HttpTransport;
  readonly #events: EventSocketTransport;

  constructor(options: SocketOptions) {
    this.#raw = new RawTransport(options);
    this.#undici = new HttpTransport(options);
    this.#events = new EventSocketTransport(options, new WebSocketTransport(options));
  }

  get sockets(): number {
    return this.#raw.sockets + this.#undici.sockets + this.#events.sockets;
  }

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    return this.#of(upstream).open(upstream, request, handler);
  }

  keep(upstream: UpstreamAddress, sockets: number): void {
    this.#of(upstream).keep(upstream, sockets);
  }

  idle(upstream: UpstreamAddress): number {
    return this.#of(upstream).idle(upstream);
  }

  shed(upstream: UpstreamAddress, sockets: number): void {
    this.#of(upstream).shed(upstream, sockets);
  }

  async close(): Promise<void> {
    await Promise.all([this.#raw.close(), this.#undici.close(), this.#events.close()]);
  }

  #of({ origin, reader }: UpstreamAddress): Transport {
    if (origin.startsWith('ws')) return this.#events;
    return reader === 'undici' ? this.#undici : this.#raw;
  }
}
