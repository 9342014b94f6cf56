/** Requests whose answer nobody waits for (an upstream is told to forget a stream): bounded in number and in time. */
import type { Ticker } from '../policy/ports.ts';
import type { ProviderRequest } from '../protocol/provider.ts';
import type { Transport } from '../protocol/transport.ts';
import type { Upstream } from './route.ts';

/** More at once are not sent: whatever they ask for, an upstream bounds itself too. */
const RUNNING_MAX = 1_024;
const LIMIT_MS = 2_000;

export class Errands {
  readonly #transport: Transport;
  readonly #ticker: Ticker;
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(transport: Transport, ticker: Ticker) {
    this.#transport = transport;
    this.#ticker = ticker;
  }

  /** Once none runs any more; asked when no new ones come. */
  whenIdle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  /** One after the other. */
  send(upstream: Upstream, [request, ...more]: readonly ProviderRequest[]): void {
    if (!request || this.#running >= RUNNING_MAX) return;
    this.#running += 1;
    let running = true;
    const over = () => {
      if (!running) return;
      running = false;
      this.#running -= 1;
      cancel();
      this.send(upstream, more);
      if (this.#running === 0) this.#idle?.();
    };
    const ignored = () => {};
    const handler = { sent: ignored, head: ignored, data: ignored, end: over, fail: over };
    const path = upstream.basePath + request.path;
    const exchange = this.#transport.open(upstream.address, { ...request, path }, handler);
    const cancel = this.#ticker.after(LIMIT_MS, () => {
      over();
      exchange.cancel();
    });
  }
}
