/** A client of an engine in the same process, without port and socket. */

import type { Engine } from '../engine/engine.ts';
import { serveOn } from '../engine/engine.ts';
import type { HttpReply } from '../main/backend/backend.ts';
import { type MemoryListening, memoryBackend } from '../main/backend/memory.ts';
import type { MemoryConnection } from '../main/backend/memory-connection.ts';

export interface ConnectOptions {
  /** Of the upgrade request. `Host` is `localhost` unless said otherwise. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Subprotocols offered. */
  readonly protocols?: readonly string[];
  /** The client's address; default 127.0.0.1. */
  readonly address?: string;
  /** Bytes that arrive before they are taken, as a kernel's buffers would hold; beyond them the engine sees a slow reader. Default 65,536. */
  readonly windowBytes?: number;
  /** Whether pings are answered; default true. */
  readonly pongs?: boolean;
}

/** How a session ended. 1006: without a close frame. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/**
 * A client. Whoever does not take messages reads slowly: that is how back-pressure is simulated.
 * `for await (const message of client)` yields until the session ends.
 */
export interface Client extends AsyncIterable<string | Uint8Array> {
  /** The subprotocol that was agreed on; '' when none was. */
  readonly protocol: string;
  /** Undefined while the session is open. */
  readonly closed: Closed | undefined;
  /** Strings go as text, bytes as binary, other objects as JSON text. */
  send(message: string | Uint8Array | object): void;
  /** The next message; undefined when the session has ended. */
  next(): Promise<string | Uint8Array | undefined>;
  /** The next text message, parsed. @throws when the session ended, or it is no JSON. */
  nextJson<T = Record<string, unknown>>(): Promise<T>;
  /** Leaves with a close frame; default 1000. */
  close(code?: number, reason?: string): void;
  /** Vanishes without one. */
  terminate(): void;
}

/** The engine answered the handshake with HTTP: status, headers and body as a client would get them. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;

  constructor(reply: HttpReply) {
    const body = typeof reply.body === 'string' ? reply.body : Buffer.from(reply.body).toString();
    super(`the handshake was refused with ${reply.status}: ${body}`);
    this.status = reply.status;
    this.headers = reply.headers;
    this.body = body;
  }
}

const doors = new WeakMap<Engine, Promise<MemoryListening>>();

/**
 * Connects to a path of an engine (query allowed); starts the engine where needed. Host, Origin, keys, caps, limits, workers and back-pressure
 * are the real ones.
 *
 * @throws RefusedError when the handshake is refused; MILLRACE_CLOSED after the engine's end.
 */
export async function connect(
  engine: Engine,
  path: string,
  options: ConnectOptions = {},
): Promise<Client> {
  let door = doors.get(engine);
  if (!door) doors.set(engine, (door = serveOn(engine, memoryBackend)));
  const listening = await door;
  const answer = await listening.connect({
    path,
    headers: options.headers ?? {},
    protocols: options.protocols ?? [],
    address: options.address ?? '127.0.0.1',
    windowBytes: options.windowBytes ?? 65_536,
    pongs: options.pongs ?? true,
  });
  if (!answer.accepted) throw new RefusedError(answer.reply);
  return new MemoryClient(answer.connection, answer.protocol);
}

class MemoryClient implements Client {
  readonly protocol: string;
  readonly #connection: MemoryConnection;

  constructor(connection: MemoryConnection, protocol: string) {
    this.#connection = connection;
    this.protocol = protocol;
  }

  get closed(): Closed | undefined {
    return this.#connection.ended;
  }

  send(message: string | Uint8Array | object): void {
    if (message instanceof Uint8Array) this.#connection.say(new Uint8Array(message), true);
    else {
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      this.#connection.say(Buffer.from(text), false);
    }
  }

  async next(): Promise<string | Uint8Array | undefined> {
    const message = await this.#connection.take();
    if (!message || message.binary) return message?.bytes;
    return Buffer.from(message.bytes.buffer).toString();
  }

  async nextJson<T>(): Promise<T> {
    const message = await this.next();
    if (typeof message === 'string') return JSON.parse(message) as T;
    const { code, reason } = this.closed ?? { code: 0, reason: 'a binary message came' };
    throw new Error(`no text message: ${code} ${reason}`);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string | Uint8Array, void> {
    for (;;) {
      const message = await this.next();
      if (message === undefined) return;
      yield message;
    }
  }

  close(code = 1000, reason = ''): void {
    this.#connection.leave(code, reason);
  }

  terminate(): void {
    this.#connection.leave(1006, '');
  }
}
