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
import { type ConnectIdle, WarmSockets } from './warm-sockets.ts';

export interface SocketOptions {
  /** Idle sockets kept for each origin. */
  readonly idleSocketsMax: number;
  readonly idleMs: number;
  /** More certificate authorities to trust, PEM. */
  readonly ca?: string;
  /** Every read, before it is handled. */
  readonly onRead?: () => void;
}

/** Lifetimes vary by up to this share, so that sockets opened together do not end together. */
const JITTER_SHARE = 0.1;
/** A socket that is so old serves nobody any more: addresses and balancers behind them change. */
const AGE_MS_MAX = 300_000;

/** A connected socket with whatever speaks HTTP over it. */
export interface PooledLine {
  readonly origin: string;
  readonly socket: Socket;
  readonly untilMs: number;
  /** Exchanges it served. */
  readonly uses: number;
  /** Can it take another exchange? */
  readonly usable: boolean;
  destroy(): void;
}

export class Sockets<L extends PooledLine> {
  readonly options: SocketOptions;
  readonly open = new Set<Socket>();
  closing = false;
  readonly #idle = new Map<string, L[]>();
  readonly #counts = new Map<string, number>();
  /** How many stay open, by origin. */
  readonly #kept = new Map<string, number>();
  #emptied: (() => void) | undefined;

  constructor(options: SocketOptions) {
    this.options = options;
  }

  line(origin: string): LineOptions {
    const lived = 1 - JITTER_SHARE * Math.random();
    const { idleMs, ca, onRead } = this.options;
    const untilMs = performance.now() + AGE_MS_MAX * lived;
    return { origin, idleMs: idleMs * lived, untilMs, ca, onRead };
  }

  own(origin: string, socket: Socket): void {
    this.open.add(socket);
    this.#counts.set(origin, this.count(origin) + 1);
    socket.on('close', () => {
      this.open.delete(socket);
      this.#counts.set(origin, this.count(origin) - 1);
      if (this.open.size === 0) this.#emptied?.();
    });
  }

  /** Open or opening to this origin, busy and idle. */
  count(origin: string): number {
    return this.#counts.get(origin) ?? 0;
  }

  idle(origin: string): number {
    return this.#idle.get(origin)?.length ?? 0;
  }

  keep(origin: string, count: number): void {
    this.#kept.set(origin, count);
  }

  /** Nobody used it for `idleMs`: does it stay all the same? */
  stays({ origin, untilMs }: L): boolean {
    return performance.now() < untilMs && this.count(origin) <= (this.#kept.get(origin) ?? 0);
  }

  shed(origin: string, count: number): void {
    for (const line of this.#idle.get(origin)?.splice(0, count) ?? []) line.destroy();
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
    const isOver = this.closing || performance.now() >= line.untilMs;
    if (isOver || !line.usable || idle.length >= this.options.idleSocketsMax) {
      return line.destroy();
    }
    idle.push(line);
  }

  /** A dead socket does not wait for anybody. */
  watch(line: L): L {
    line.socket.on('close', () => {
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

/** A transport over such sockets: what an exchange says over one is `start`'s business, how one comes about without an exchange `connect`'s. */
export class PooledTransport<L extends PooledLine> implements Transport {
  readonly #sockets: Sockets<L>;
  readonly #start: StartExchange<L>;
  readonly #warm: WarmSockets<L>;

  constructor(options: SocketOptions, start: StartExchange<L>, connect: ConnectIdle<L>) {
    this.#sockets = new Sockets(options);
    this.#start = start;
    this.#warm = new WarmSockets(this.#sockets, connect);
  }

  get sockets(): number {
    return this.#sockets.open.size;
  }

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    return this.#start(this.#sockets, upstream, request, handler);
  }

  keep({ origin }: UpstreamAddress, sockets: number): void {
    this.#warm.keep(origin, sockets);
  }

  idle({ origin }: UpstreamAddress): number {
    return this.#sockets.idle(origin);
  }

  shed({ origin }: UpstreamAddress, sockets: number): void {
    this.#sockets.shed(origin, sockets);
  }

  close(): Promise<void> {
    const closed = this.#sockets.close();
    this.#warm.close();
    return closed;
  }
}

type StartExchange<L extends PooledLine> = (
  sockets: Sockets<L>,
  upstream: UpstreamAddress,
  request: ExchangeRequest,
  handler: ExchangeHandler,
) => Exchange;
