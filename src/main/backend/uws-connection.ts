import { must } from '../../must.ts';
import type { BackendHandlers, Connection, SendStatus } from './backend.ts';
import { CLOSE_WAIT_MS, PONGS_WAITING_MAX } from './patience.ts';
import type { UwsSocket } from './uws-module.ts';

/** Frames from this size on meet the lost-payload bug of old cores. */
const LARGE_FRAME_BYTES = 16 * 1024;

const text = new TextDecoder();

/**
 * One socket of the core. `open` → (`closing`: the close frame waits behind back-pressure) → `gone`, where the core's handle is invalid.
 * The core calls its close handler inside `end` and `close`; ours is told in a microtask then, never inside its own call.
 */
export class UwsConnection implements Connection {
  user: unknown;
  readonly #handlers: BackendHandlers;
  readonly #losesPayloads: boolean;
  /** Text from this size on is compressed where the client agreed to it. */
  readonly #deflateFrom: number;
  #socket: UwsSocket | undefined;
  #open = true;
  #calling = false;
  #pongsWaiting = 0;
  #closing: { code: number; reason: string; timer: NodeJS.Timeout } | undefined;

  constructor(
    socket: UwsSocket,
    handlers: BackendHandlers,
    losesPayloads: boolean,
    deflateFrom: number,
  ) {
    this.#deflateFrom = deflateFrom;
    const data = socket.getUserData();
    this.user = data.ticket;
    data.ticket = this;
    this.#socket = socket;
    this.#handlers = handlers;
    this.#losesPayloads = losesPayloads;
  }

  static of(socket: UwsSocket): UwsConnection {
    return socket.getUserData().ticket as UwsConnection;
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Uint8Array, binary: boolean): SendStatus {
    if (!this.#open || this.#socket === undefined) return 'closed';
    const detour = this.#losesPayloads && bytes.length >= LARGE_FRAME_BYTES;
    const compress = detour || (!binary && bytes.length >= this.#deflateFrom);
    const status = this.#socket.send(bytes, binary, compress);
    must(status !== 2, 'uWebSockets.js dropped a frame');
    // Some cores say "queued" of an empty queue after hours (uWebSockets.js issue 1260).
    return status === 0 && this.#socket.getBufferedAmount() > 0 ? 'buffered' : 'sent';
  }

  buffered(): number {
    return this.#socket === undefined ? 0 : this.#socket.getBufferedAmount();
  }

  cork(write: () => void): void {
    if (this.#socket === undefined) {
      write();
      return;
    }
    let thrown: { error: unknown } | undefined; // a throw must not cross the core
    this.#socket.cork(() => {
      try {
        write();
      } catch (error) {
        thrown = { error };
      }
    });
    if (thrown) throw thrown.error;
  }

  ping(): void {
    if (this.#open) this.#socket?.ping();
  }

  close(code: number, reason: string): void {
    if (!this.#open || this.#socket === undefined) return;
    this.#open = false;
    if (this.#socket.getBufferedAmount() === 0) {
      this.#call((socket) => socket.end(code, reason));
      return;
    }
    const timer = setTimeout(() => this.terminate(), CLOSE_WAIT_MS);
    this.#closing = { code, reason, timer };
  }

  terminate(): void {
    this.#open = false;
    this.#call((socket) => socket.close());
  }

  #call(act: (socket: UwsSocket) => void): void {
    if (this.#socket === undefined) return;
    this.#calling = true;
    act(this.#socket);
    this.#calling = false;
  }

  // From here on: what the core tells.

  opened(): void {
    this.#guard('open', () => this.#handlers.open(this));
  }

  received(bytes: Uint8Array, binary: boolean): void {
    if (!this.#open) return;
    try {
      this.#handlers.message(this, bytes, binary);
    } catch (error) {
      this.#failed(error, 'message');
    }
  }

  drained(): void {
    if (this.#closing !== undefined) {
      const { code, reason } = this.#closing;
      if (this.buffered() === 0) this.#call((socket) => socket.end(code, reason));
    } else if (this.#open) this.#guard('drain', () => this.#handlers.drain(this));
  }

  /** The core has answered. A peer that pings and does not read would make pongs pile up. */
  pinged(): void {
    if (this.buffered() === 0) this.#pongsWaiting = 0;
    else if (++this.#pongsWaiting > PONGS_WAITING_MAX) return this.terminate();
    this.alive();
  }

  alive(): void {
    if (this.#open) this.#guard('alive', () => this.#handlers.alive(this));
  }

  gone(code: number, message: ArrayBuffer): void {
    this.#open = false;
    this.#socket = undefined;
    clearTimeout(this.#closing?.timer);
    const reason = text.decode(message);
    const known = code === 1006 ? (brokenRule[reason] ?? code) : code;
    const tell = () => this.#guard('close', () => this.#handlers.close(this, known, reason));
    if (this.#calling) queueMicrotask(tell);
    else tell();
  }

  #guard(where: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#failed(error, where);
    }
  }

  #failed(error: unknown, where: string): void {
    this.#handlers.fault(error, where);
    this.close(1011, 'internal error');
  }
}

/** The core names the rule a peer broke (newer ones only); the session's close code follows, though no close frame was sent. */
const brokenRule: Readonly<Record<string, number | undefined>> = {
  'Received too big message': 1009,
  'Received invalid UTF-8': 1007,
  'Received invalid WebSocket frame': 1002,
};
