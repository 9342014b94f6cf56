/** The paths that the application handles itself, and the sessions that are open there. */
import type { MillraceError } from '../errors.ts';
import { must } from '../must.ts';
import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import type { Counts } from './counts.ts';
import type { Session } from './session.ts';
import { OwnSocket, type SocketHandlers, type SocketHost } from './socket.ts';

/** By path. What `Data` is, only the application knows. */
export type SocketPaths = ReadonlyMap<string, SocketHandlers<unknown>>;

/** What a change of the options moves. */
interface Bounds {
  highBytes: number;
  bytesMax: number;
}

export class Sockets {
  readonly #paths: SocketPaths;
  readonly #host: SocketHost & Bounds;
  readonly #bySlot: (OwnSocket<unknown> | undefined)[] = [];
  #working = 0;

  constructor(paths: SocketPaths, host: Omit<SocketHost, 'working'>) {
    this.#paths = paths;
    this.#host = { ...host, working: (more) => void (this.#working += more) };
  }

  /** Handlers that have a message to finish. */
  get working(): number {
    return this.#working;
  }

  /** These bounds hold from here on. */
  reconfigure({ session }: Options): void {
    this.#host.highBytes = session.creditBytes;
    this.#host.bytesMax = session.socketBytesMax;
  }

  opened(session: Session): void {
    if (session.admission.dialect !== 'socket') return;
    const handlers = this.#paths.get(session.admission.path ?? '');
    must(handlers, 'accept admits sockets to known paths only');
    const socket = new OwnSocket(session, handlers, this.#host);
    this.#bySlot[session.slot] = socket;
    socket.opened();
  }

  received(session: Session, bytes: Uint8Array, binary: boolean): void {
    this.#bySlot[session.slot]?.received(bytes, binary);
  }

  refused(session: Session, error: MillraceError): void {
    if (!this.#bySlot[session.slot]?.refused(error)) this.#host.end(session, error);
  }

  drained(session: Session): void {
    if (session.admission.dialect === 'socket') this.#bySlot[session.slot]?.drained();
  }

  gone(session: Session, code: number, reason: string): void {
    if (session.admission.dialect !== 'socket') return;
    const socket = this.#bySlot[session.slot];
    this.#bySlot[session.slot] = undefined;
    socket?.gone(code, reason);
  }
}

/** What sockets ask of the server. */
export interface SocketServer {
  fault(error: unknown, where: string): void;
  end(session: Session, error: MillraceError): void;
  closeSession(session: Session, code: number, reason: string): void;
}

/** The sockets of `paths`; `server` is asked for later, because it holds them. */
export function createSockets(
  paths: SocketPaths,
  { session: { creditBytes, socketBytesMax } }: Options,
  counts: Counts,
  clock: Clock,
  server: () => SocketServer,
): Sockets {
  return new Sockets(paths, {
    counts,
    highBytes: creditBytes,
    bytesMax: socketBytesMax,
    now: () => clock.now(),
    fault: (error, where) => server().fault(error, where),
    end: (session, error) => server().end(session, error),
    close: (session, code, reason) => server().closeSession(session, code, reason),
  });
}
