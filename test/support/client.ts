/** A WebSocket client for tests, over `ws`: a queue of what came, and promises for the rest. */
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import { openInMemory } from './backend/in-memory.ts';

export interface Received {
  readonly binary: boolean;
  readonly bytes: Buffer;
  /** The payload as UTF-8. */
  readonly text: string;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** The server answered the upgrade with something else. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;

  constructor(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    body: string,
  ) {
    super(`the upgrade was refused with ${status}: ${body}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

export interface OpenOptions {
  readonly headers?: Record<string, string>;
  readonly protocols?: string[];
  /** Offer permessage-deflate; off, so that a test sees plain frames. */
  readonly deflate?: boolean;
  readonly ws?: ClientOptions;
}

export interface TestClient {
  /** The socket itself, for what this class does not offer (ping, pause, terminate). */
  readonly socket: WebSocket;
  /** Everything received so far that no `next` took. */
  readonly waiting: readonly Received[];
  readonly closed: Promise<Closed>;
  /** Objects go as JSON text, strings as text, bytes as binary. */
  send(message: string | Uint8Array | object): void;
  /** The next message; fails when the socket closes first or nothing came for `ms`. */
  next(ms?: number): Promise<Received>;
  /** The next message as JSON. */
  nextJson<T = Record<string, unknown>>(ms?: number): Promise<T>;
  /** Messages up to and including the first that satisfies `last`. */
  collect(last: (message: Received) => boolean, ms?: number): Promise<Received[]>;
  /** The same over parsed JSON. */
  collectJson<T = Record<string, unknown>>(
    last: (message: T) => boolean,
    ms?: number,
  ): Promise<T[]>;
  close(code?: number, reason?: string): Promise<Closed>;
}

const WAIT_MS = 5000;

/** Opens a socket; fails with RefusedError when the server answers HTTP. */
export function open(url: string, options: OpenOptions = {}): Promise<TestClient> {
  if (url.startsWith('memory:')) return openInMemory(url);
  const socket = new WebSocket(url, options.protocols ?? [], {
    perMessageDeflate: options.deflate ?? false,
    maxPayload: 0,
    ...options.ws,
    ...(options.headers && { headers: options.headers }),
  });
  const client = clientOver(socket);
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(client));
    socket.once('error', reject);
    socket.once('unexpected-response', (request, response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        request.destroy();
        const body = Buffer.concat(parts).toString();
        reject(new RefusedError(response.statusCode ?? 0, response.headers, body));
      });
    });
  });
}

interface Taker {
  give(message: Received): void;
  fail(error: Error): void;
}

function clientOver(socket: WebSocket): TestClient {
  const waiting: Received[] = [];
  const takers: Taker[] = [];
  let gone: Closed | undefined;
  socket.on('message', (data, binary) => {
    const bytes = bytesOf(data);
    const message = { binary, bytes, text: bytes.toString() };
    const taker = takers.shift();
    if (taker) taker.give(message);
    else waiting.push(message);
  });
  // After the handshake an error is followed by a close, which says the same.
  socket.on('error', () => {});
  const closed = new Promise<Closed>((resolve) => {
    socket.once('close', (code, reason) => {
      gone = { code, reason: reason.toString() };
      for (const taker of takers.splice(0)) taker.fail(closedEarly(gone));
      resolve(gone);
    });
  });

  function next(ms = WAIT_MS): Promise<Received> {
    const ready = waiting.shift();
    if (ready) return Promise.resolve(ready);
    if (gone) return Promise.reject(closedEarly(gone));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        takers.splice(takers.indexOf(taker), 1);
        reject(new Error(`no message within ${ms} ms`));
      }, ms);
      const taker: Taker = {
        give: (message) => (clearTimeout(timer), resolve(message)),
        fail: (error) => (clearTimeout(timer), reject(error)),
      };
      takers.push(taker);
    });
  }

  async function gather<T>(
    take: (ms?: number) => Promise<T>,
    last: (one: T) => boolean,
    ms?: number,
  ) {
    const all: T[] = [];
    for (;;) {
      const one = await take(ms);
      all.push(one);
      if (last(one)) return all;
    }
  }

  async function nextJson<T>(ms?: number): Promise<T> {
    return JSON.parse((await next(ms)).text) as T;
  }

  return {
    socket,
    waiting,
    closed,
    next,
    nextJson,
    send: (message) => socket.send(payloadOf(message)),
    collect: (last, ms) => gather(next, last, ms),
    collectJson: <T>(last: (message: T) => boolean, ms?: number) => gather(nextJson<T>, last, ms),
    close(code, reason) {
      socket.close(code, reason);
      return closed;
    },
  };
}

function closedEarly({ code, reason }: Closed): Error {
  return new Error(`the socket closed (${code} ${reason}) while a message was awaited`);
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}

function payloadOf(message: string | Uint8Array | object): string | Uint8Array {
  if (typeof message === 'string' || message instanceof Uint8Array) return message;
  return JSON.stringify(message);
}
