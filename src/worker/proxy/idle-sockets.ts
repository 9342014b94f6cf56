/** Connections that a client has left in order, kept for the next one: bounded in number and time, by back end and subprotocol. */
import type { SocketHandler, UpstreamSocket } from '../../protocol/socket-transport.ts';
import type { Alarm, Alarms } from '../alarms.ts';

interface Idle {
  readonly socket: UpstreamSocket;
  readonly alarm: Alarm;
}

export class IdleSockets {
  readonly #alarms: Alarms;
  readonly #now: () => number;
  readonly #byKey = new Map<string, Set<Idle>>();

  constructor(alarms: Alarms, now: () => number) {
    this.#alarms = alarms;
    this.#now = now;
  }

  get size(): number {
    let size = 0;
    for (const all of this.#byKey.values()) size += all.size;
    return size;
  }

  /** Keeps an open socket; one too many is closed. What comes from it meanwhile belongs to nobody: then it is closed too. */
  put(key: string, socket: UpstreamSocket, max: number, idleMs: number): void {
    const all = this.#byKey.get(key) ?? new Set<Idle>();
    if (all.size >= max) return socket.close(1000);
    this.#byKey.set(key, all);
    const drop = () => {
      this.#forget(key, idle);
      socket.close(1000);
    };
    const idle: Idle = { socket, alarm: this.#alarms.create(drop) };
    all.add(idle);
    idle.alarm.set(this.#now() + idleMs);
    socket.attach(nobody(drop, () => this.#forget(key, idle)));
    socket.resume();
  }

  /** The one used last: the others may get old. */
  take(key: string): UpstreamSocket | undefined {
    const last = [...(this.#byKey.get(key) ?? [])].at(-1);
    if (!last) return undefined;
    this.#forget(key, last);
    return last.socket;
  }

  close(): void {
    for (const [key, all] of this.#byKey) {
      for (const idle of all) {
        this.#forget(key, idle);
        idle.socket.close(1001);
      }
    }
  }

  #forget(key: string, idle: Idle): void {
    idle.alarm.free();
    const all = this.#byKey.get(key);
    all?.delete(idle);
    if (all?.size === 0) this.#byKey.delete(key);
  }
}

function nobody(spoke: () => void, closed: () => void): SocketHandler {
  return { opened() {}, failed: closed, message: spoke, alive() {}, drained() {}, closed };
}
