/**
 * One session of a path that the application handles itself: what `engine.socket` hands to its handlers.
 *
 *   message ─▶ handler, one at a time ─▶ (its promise is out: the next ones wait here, bounded) ─▶ the next
 *   send ─▶ connection ─▶ (the client does not read: the promise waits for the drain; far beyond: closed with 1013)
 */
import { randomUUID } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { Counts } from './counts.ts';
import type { Session } from './session.ts';

/** A text message as a string, a binary one as bytes of the application's own. */
export type SocketMessage = string | Uint8Array;

/** Who is at the other end, settled at the handshake. */
export interface SocketFacts {
  /** Unguessable and never used twice: for logs and maps. */
  readonly id: string;
  /** The path it connected to. */
  readonly path: string;
  /** The subprotocol that was agreed on; '' when none was. */
  readonly protocol: string;
  /** Name of the client's key (not the key), or `anonymous`. */
  readonly principal: string;
  /** The client's address as text. */
  readonly address: string;
  /** Models its key may ask for, one that ends in * standing for all that begin so; undefined: every model. */
  readonly models: readonly string[] | undefined;
}

/**
 * One client's WebSocket. After its end every method is a harmless no-op: `open` says so, `send` answers 'closed'.
 *
 * `for await (const message of socket)` yields its messages where no `message` handler is given; leaving the loop closes the socket.
 */
export interface Socket<Data = undefined> extends SocketFacts, AsyncIterable<SocketMessage> {
  readonly open: boolean;
  /** Bytes that wait because the client does not read. */
  readonly buffered: number;
  /** The application's own, as its `data` made it. */
  data: Data;
  /**
   * Sends a string as text, bytes as binary; they may be written again as soon as it returns. The promise waits while more than
   * `session.creditBytes` are unread; it never rejects. What would pass `session.socketBytesMax` is not sent: the session is closed with 1013.
   *
   * @throws MILLRACE_FIELD_INVALID for anything but a string or a Uint8Array.
   */
  send(message: SocketMessage): Promise<SocketSent>;
  /**
   * Ends the session once what was sent is delivered. Code 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999; a reason is cut at 123 bytes.
   *
   * @throws MILLRACE_FIELD_INVALID for another code.
   */
  close(code?: number, reason?: string): void;
}

/** 'closed': the session is over, nothing was sent. */
export type SocketSent = 'sent' | 'closed';

/**
 * What the application does with its clients. A handler that throws or rejects closes its session with 1011 and is counted and logged. While the
 * promise of `open` or `message` is out, the session's next messages wait (`session.socketBytesMax`), in order.
 */
export interface SocketHandlers<Data = undefined> {
  /** Makes `socket.data` of a new session. */
  data?(facts: SocketFacts): Data;
  open?(socket: Socket<Data>): unknown;
  message?(socket: Socket<Data>, message: SocketMessage): unknown;
  /** The client reads again: every `send` that waited goes on. */
  drain?(socket: Socket<Data>): unknown;
  /** A limit refused a message (`error.code`, `error.details.waitMs`). Without this handler the session is closed with 1013. */
  refused?(socket: Socket<Data>, error: MillraceError): unknown;
  /** Last call, after the last message. 1006: lost without a close frame. */
  close?(socket: Socket<Data>, code: number, reason: string): unknown;
}

/** What a socket needs of the engine. */
export interface SocketHost {
  readonly counts: Counts;
  /** A send waits from here on… */
  readonly highBytes: number;
  /** …and here the session ends. */
  readonly bytesMax: number;
  now(): number;
  /** So many more (or fewer) handlers have a message to finish. */
  working(more: number): void;
  fault(error: unknown, where: string): void;
  end(session: Session, error: MillraceError): void;
  close(session: Session, code: number, reason: string): void;
}

const SENT = Promise.resolve<SocketSent>('sent');
const CLOSED = Promise.resolve<SocketSent>('closed');
/** What a waiting message costs besides its bytes: empty ones are bounded too. */
const MESSAGE_BYTES = 64;

type Pull = (result: IteratorResult<SocketMessage, undefined>) => void;

export class OwnSocket<Data> implements Socket<Data> {
  readonly id = randomUUID();
  readonly #session: Session;
  readonly #handlers: SocketHandlers<Data>;
  readonly #host: SocketHost;
  data: Data;
  /** Messages nobody took yet, from `#first` on, and what they cost. */
  #waiting: SocketMessage[] = [];
  #first = 0;
  #waitingBytes = 0;
  /** Loops that wait for a message. */
  readonly #pulls: Pull[] = [];
  /** The promise of a handler is out. */
  #busy = false;
  #failed = false;
  #told = false;
  /** Set by the session's end; `close` is told after the last message. */
  #end: { readonly code: number; readonly reason: string } | undefined = undefined;
  /** One promise for every send that waits. */
  #drained: { readonly promise: Promise<SocketSent>; settle(sent: SocketSent): void } | undefined;

  constructor(session: Session, handlers: SocketHandlers<Data>, host: SocketHost) {
    this.#session = session;
    this.#handlers = handlers;
    this.#host = host;
    this.data = undefined as Data;
  }

  get path(): string {
    return this.#session.admission.path ?? '';
  }
  get protocol(): string {
    return this.#session.admission.protocol ?? '';
  }
  get principal(): string {
    return this.#session.principal;
  }
  get address(): string {
    return this.#session.address;
  }
  get models(): readonly string[] | undefined {
    return this.#session.admission.rights?.models;
  }
  get open(): boolean {
    return this.#session.open;
  }
  get buffered(): number {
    return this.#session.open ? this.#session.connection.buffered() : 0;
  }

  send(message: SocketMessage): Promise<SocketSent> {
    const bytes = bytesOf(message);
    const session = this.#session;
    if (!session.open) return CLOSED;
    const { connection } = session;
    const { counts, highBytes, bytesMax } = this.#host;
    const unread = connection.buffered();
    if (unread > 0 && unread + bytes.byteLength > bytesMax) {
      this.#host.end(session, new MillraceError('MILLRACE_SOCKET_FULL', { max: bytesMax }));
      return CLOSED;
    }
    const status = connection.send(bytes, typeof message !== 'string');
    if (status === 'closed') return CLOSED;
    counts.sent(1, bytes.byteLength);
    session.bytesOut += bytes.byteLength;
    if (status === 'sent') return SENT;
    if (session.fullSinceMs === 0) {
      session.fullSinceMs = this.#host.now();
      counts.backpressure();
    }
    if (connection.buffered() <= highBytes) return SENT;
    this.#drained ??= later();
    return this.#drained.promise;
  }

  close(code = 1000, reason = ''): void {
    if (!mayClose(code)) {
      const expected = '1000, 1001, 1003, 1007 to 1014 or 3000 to 4999';
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'code', expected, got: code });
    }
    if (this.#session.open) this.#host.close(this.#session, code, reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<SocketMessage, undefined> {
    const over = { value: undefined, done: true } as const;
    return {
      next: () => {
        const message = this.#take();
        if (message !== undefined) return Promise.resolve({ value: message, done: false });
        if (this.#end) return Promise.resolve(over);
        return new Promise((resolve) => this.#pulls.push(resolve));
      },
      return: () => {
        this.close();
        return Promise.resolve(over);
      },
    };
  }

  // From here on: what the session tells.

  opened(): void {
    try {
      if (this.#handlers.data) this.data = this.#handlers.data(this);
    } catch (error) {
      return this.#fail(error, 'data');
    }
    this.#run('open', () => this.#handlers.open?.(this));
  }

  /** `bytes` are borrowed. */
  received(bytes: Uint8Array, binary: boolean): void {
    if (this.#failed) return;
    const message = binary ? new Uint8Array(bytes) : textOf(bytes);
    const pull = this.#pulls.shift();
    if (pull) return pull({ value: message, done: false });
    if (!this.#busy && this.#handlers.message) return this.#handle(message);
    const cost = message.length + MESSAGE_BYTES;
    if (this.#waitingBytes > 0 && this.#waitingBytes + cost > this.#host.bytesMax) {
      const bound = 'session.socketBytesMax';
      return this.#host.end(
        this.#session,
        new MillraceError('MILLRACE_OVERLOADED', { bound, waitMs: 1_000 }),
      );
    }
    this.#waitingBytes += cost;
    this.#waiting.push(message);
  }

  drained(): void {
    if (!this.#drained || this.#session.connection.buffered() > this.#host.highBytes) return;
    this.#settle('sent');
    void this.#call('drain', () => this.#handlers.drain?.(this));
  }

  /** A limit refused a message. False: the application does not want to know. */
  refused(error: MillraceError): boolean {
    if (!this.#handlers.refused) return false;
    void this.#call('refused', () => this.#handlers.refused?.(this, error));
    return true;
  }

  /** Once, after the session's end; possibly inside a call of the application's, which `close` must not interrupt. */
  gone(code: number, reason: string): void {
    this.#end = { code, reason };
    this.#settle('closed');
    for (const pull of this.#pulls.splice(0)) pull({ value: undefined, done: true });
    queueMicrotask(() => this.#next());
  }

  #settle(sent: SocketSent): void {
    this.#drained?.settle(sent);
    this.#drained = undefined;
  }

  #take(): SocketMessage | undefined {
    if (this.#first === this.#waiting.length) return undefined;
    const message = this.#waiting[this.#first++];
    this.#waitingBytes -= message.length + MESSAGE_BYTES;
    // One move for many messages, not one a message.
    if (2 * this.#first >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  #handle(message: SocketMessage): void {
    this.#run('message', () => this.#handlers.message?.(this, message));
  }

  /** Runs a handler whose promise holds back the next message. */
  #run(where: string, handler: () => unknown): void {
    const pending = this.#call(where, handler);
    if (!pending) return;
    this.#busy = true;
    // A loop over the messages ends with its session: nobody waits for it.
    const counted = this.#handlers.message === undefined ? 0 : 1;
    this.#host.working(counted);
    void this.#after(pending, counted);
  }

  async #after(pending: Promise<void>, counted: number): Promise<void> {
    await pending;
    this.#busy = false;
    this.#host.working(-counted);
    this.#next();
  }

  /** The handler's promise, which never rejects; undefined when it is done. */
  #call(where: string, handler: () => unknown): Promise<void> | undefined {
    try {
      const result = handler();
      if (!isThenable(result)) return undefined;
      return Promise.resolve(result).then(
        () => undefined,
        (error: unknown) => this.#fail(error, where),
      );
    } catch (error) {
      this.#fail(error, where);
      return undefined;
    }
  }

  #next(): void {
    while (this.#handlers.message && !this.#busy && !this.#failed) {
      const message = this.#take();
      if (message === undefined) break;
      this.#handle(message);
    }
    if (!this.#end || this.#busy || this.#told) return;
    this.#told = true;
    const { code, reason } = this.#end;
    void this.#call('close', () => this.#handlers.close?.(this, code, reason));
  }

  #fail(error: unknown, where: string): void {
    this.#failed = true;
    this.#host.fault(error, `socket ${this.path} ${where}`);
    if (this.#session.open) this.#host.close(this.#session, 1011, 'internal error');
  }
}

function later() {
  let settle: (sent: SocketSent) => void = () => {};
  const promise = new Promise<SocketSent>((resolve) => (settle = resolve));
  return { promise, settle };
}

function bytesOf(message: SocketMessage): Uint8Array {
  if (typeof message === 'string') return Buffer.from(message);
  if (message instanceof Uint8Array) return message;
  const got = typeof message;
  const expected = 'a string or a Uint8Array';
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'message', expected, got });
}

/** The backend has checked that it is UTF-8. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** RFC 6455 section 7.4 and the registry of close codes: what an endpoint may send. */
function mayClose(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  if (code >= 3000) return code < 5000;
  return code === 1000 || code === 1001 || code === 1003 || (code >= 1007 && code <= 1014);
}
