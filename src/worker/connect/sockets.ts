/** The sockets of a transport: which are open, and which wait idle for the next exchange to their origin, latest first. */
import type { Socket } from 'node:net';
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  Transport,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import type { LineOptions } from './line.ts';

export interface SocketOptions {
  /** Idle sockets kept for each origin. */
  readonly idleSocketsMax: number;
  readonly idleMs: number;
  /** More certificate authorities to trust, PEM. */
  readonly ca?: string;
  /** Every read, before it is handled. */
  readonly onRead?: () => void;
}

/** A connected socket with whatever speaks HTTP over it. */
export interface PooledLine {
  readonly origin: string;
  readonly socket: Socket;
  /** Can it take another exchange? */
  readonly usable: boolean;
  destroy(): void;
}

export class Sockets<L extends PooledLine> {
  readonly options: SocketOptions;
  readonly open = new Set<Socket>();
  closing = false;
  readonly #idle = new Map<string, L[]>();
  #emptied: (() => void) | undefined;

  constructor(options: SocketOptions) {
    this.options = options;
  }

  line(origin: string): LineOptions {
    const { idleMs, ca, onRead } = this.options;
    return { origin, idleMs, ca, onRead };
  }

  own(socket: Socket): void {
    this.open.add(socket);
    socket.once('close', () => {
      this.open.delete(socket);
      if (this.open.size === 0) this.#emptied?.();
    });
  }

  /** The line that was used last: its socket is the least likely to be stale. */
  take(origin: string): L | undefined {
    const idle = this.#idle.get(origin);
    for (let line = idle?.pop(); line !== undefined; line = idle?.pop()) {
      if (line.usable) return line;
      line.destroy();
    }
    return undefined;
  }

  give(line: L): void {
    const idle = this.#idle.get(line.origin) ?? [];
    this.#idle.set(line.origin, idle);
    if (this.closing || !line.usable || idle.length >= this.options.idleSocketsMax) {
      return line.destroy();
    }
    idle.push(line);
  }

  /** A dead socket does not wait for anybody. */
  watch(line: L): L {
    line.socket.once('close', () => {
      const idle = this.#idle.get(line.origin);
      const at = idle?.indexOf(line) ?? -1;
      if (at >= 0) idle?.splice(at, 1);
    });
    return line;
  }

  close(): Promise<void> {
    this.closing = true;
    for (const idle of this.#idle.values()) for (const line of idle.splice(0)) line.destroy();
    if (this.open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }
}

/** A transport over such sockets: what an exchange says over one is `start`'s business. */
export class PooledTransport<L extends PooledLine> implements Transport {
  readonly #sockets: Sockets<L>;
  readonly #start: StartExchange<L>;

  constructor(options: SocketOptions, start: StartExchange<L>) {
    this.#sockets = new Sockets(options);
    this.#start = start;
  }

  get sockets(): number {
    return this.#sockets.open.size;
  }

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    return this.#start(this.#sockets, upstream, request, handler);
  }

  close(): Promise<void> {
    return this.#sockets.close();
  }
}

type StartExchange<L extends PooledLine> = (
  sockets: Sockets<L>,
  upstream: UpstreamAddress,
  request: ExchangeRequest,
  handler: ExchangeHandler,
) => Exchange;
