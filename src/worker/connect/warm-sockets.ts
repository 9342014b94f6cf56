/**
 * Sockets opened before anybody needs them, so that a stream does not wait for a connection. Not every server bears that: one that closes them unused, soon, again and
 * again, is left in peace for a while, longer each time (a server with few threads may need one for each open socket).
 */
import type { PooledLine, Sockets } from './sockets.ts';

/** Begins to connect; `ready` when the line may be used. The line closes by itself when that fails. */
export type ConnectIdle<L extends PooledLine> = (
  sockets: Sockets<L>,
  origin: string,
  ready: (line: L) => void,
) => { readonly socket: L['socket'] };

const YOUNG_MS = 15_000;
const YOUNG_DEATHS = 3;
const REST_MS = 10_000;
const REST_MS_MAX = 600_000;

interface Patience {
  /** Unused and young, in a row. */
  deaths: number;
  rests: number;
  untilMs: number;
}

export class WarmSockets<L extends PooledLine> {
  readonly #sockets: Sockets<L>;
  readonly #connect: ConnectIdle<L>;
  readonly #patience = new Map<string, Patience>();
  /** Not connected yet. */
  readonly #connecting = new Set<L['socket']>();

  constructor(sockets: Sockets<L>, connect: ConnectIdle<L>) {
    this.#sockets = sockets;
    this.#connect = connect;
  }

  keep(origin: string, count: number): void {
    const sockets = this.#sockets;
    const kept = Math.min(count, sockets.options.idleSocketsMax);
    sockets.keep(origin, kept);
    if (kept === 0) this.#patience.delete(origin);
    const patience = this.#patience.get(origin);
    if (sockets.closing || (patience && performance.now() < patience.untilMs)) return;
    for (let open = sockets.count(origin); open < kept; open++) this.#open(origin);
  }

  close(): void {
    for (const socket of this.#connecting) socket.destroy();
  }

  #open(origin: string): void {
    const bornMs = performance.now();
    let opened: L | undefined;
    const { socket } = this.#connect(this.#sockets, origin, (line) => {
      opened = line;
      this.#connecting.delete(socket);
      this.#sockets.give(line);
    });
    this.#connecting.add(socket);
    socket.once('close', () => {
      this.#connecting.delete(socket);
      const isUnused = opened === undefined || opened.uses <= 1;
      if (isUnused && performance.now() - bornMs < YOUNG_MS) this.#died(origin);
      else this.#patience.delete(origin);
    });
  }

  #died(origin: string): void {
    const patience = this.#patience.get(origin) ?? { deaths: 0, rests: 0, untilMs: 0 };
    this.#patience.set(origin, patience);
    patience.deaths++;
    if (patience.deaths < YOUNG_DEATHS) return;
    patience.deaths = 0;
    patience.untilMs = performance.now() + Math.min(REST_MS_MAX, REST_MS * 2 ** patience.rests);
    patience.rests = Math.min(patience.rests + 1, 16);
  }
}
