/** The transport of a worker: our own reader in the clear, undici over TLS. */
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  Transport,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import { HttpTransport } from './http.ts';
import { RawTransport } from './raw.ts';
import type { SocketOptions } from './sockets.ts';

export class UpstreamTransport implements Transport {
  readonly #clear: RawTransport;
  readonly #secure: HttpTransport;

  constructor(options: SocketOptions) {
    this.#clear = new RawTransport(options);
    this.#secure = new HttpTransport(options);
  }

  get sockets(): number {
    return this.#clear.sockets + this.#secure.sockets;
  }

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    const { origin } = upstream;
    const transport = origin.startsWith('https:') ? this.#secure : this.#clear;
    return transport.open(upstream, request, handler);
  }

  async close(): Promise<void> {
    await Promise.all([this.#clear.close(), this.#secure.close()]);
  }
}
