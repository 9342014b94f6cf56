/** One client in memory: the engine's end is a `Connection`, the client's end the methods from `take` on. */
import type { BackendHandlers, Connection, SendStatus } from './backend.ts';
import { CLOSE_WAIT_MS } from './patience.ts';

export interface MemoryMessage {
  readonly bytes: Uint8Array;
  readonly binary: boolean;
}

export interface MemoryEnd {
  readonly code: number;
  readonly reason: string;
}

export interface MemoryLimits {
  readonly messageBytesMax: number;
  readonly windowBytes: number;
  readonly pongs: boolean;
  /** Told of its end. */
  over(): void;
}

type Frame = MemoryMessage | 'ping' | { readonly end: MemoryEnd };

const MEMORY_FRAME_BYTES = 2;

export class MemoryConnection implements Connection {
  user: unknown;
  readonly #handlers: BackendHandlers;
  readonly #limits: MemoryLimits;
  #open = true;
  /** The engine was told of the end. */
  #told = false;
  /** Sent, and beyond the window. */
  readonly #queue: Frame[] = [];
  #queued = 0;
  /** The client took something: the window is filled again in the next turn. */
  #refilling = false;
  /** Arrived, and not taken. */
  readonly #arrived: MemoryMessage[] = [];
  #arrivedBytes = 0;
  /** What is to happen in the next turn, in order. */
  #turn: (() => void)[] = [];
  #closing: { readonly end: MemoryEnd; readonly timer: NodeJS.Timeout } | undefined = undefined;
  #end: MemoryEnd | undefined = undefined;
  #takers: (() => void)[] = [];

  constructor(handlers: BackendHandlers, user: unknown, limits: MemoryLimits) {
    this.#handlers = handlers;
    this.#limits = limits;
    this.user = user;
  }

  get open(): boolean {
    return this.#open;
  }

  opened(): void {
    this.#guard('open', () => this.#handlers.open(this));
  }

  send(bytes: Uint8Array, binary: boolean): SendStatus {
    if (!this.#open) return 'closed';
    this.#put({ bytes: new Uint8Array(bytes), binary });
    return this.#queued > 0 ? 'buffered' : 'sent';
  }

  buffered(): number {
    return this.#told ? 0 : this.#queued;
  }

  cork(write: () => void): void {
    write();
  }

  ping(): void {
    if (this.#open) this.#put('ping');
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    const timer = setTimeout(() => this.terminate(), CLOSE_WAIT_MS);
    this.#closing = { end: { code, reason }, timer };
    this.#put({ end: { code, reason } });
  }

  terminate(): void {
    if (this.#told) return;
    this.#open = false;
    this.#queue.length = this.#queued = 0;
    this.#over({ code: 1006, reason: '' });
    queueMicrotask(() => this.#gone(1006, ''));
  }

  // The client's end.

  /** The next message; undefined when none will come: `ended` says why. */
  async take(): Promise<MemoryMessage | undefined> {
    while (this.#arrived.length === 0) {
      if (this.#end) return undefined;
      await new Promise<void>((resolve) => this.#takers.push(resolve));
    }
    const message = this.#arrived.shift() as MemoryMessage;
    this.#arrivedBytes -= sizeOf(message);
    if (this.#queue.length > 0 && !this.#refilling) {
      this.#refilling = true;
      this.#later(() => this.#refill());
    }
    return message;
  }

  get ended(): MemoryEnd | undefined {
    return this.#end;
  }

  /** A message of the client. */
  say(bytes: Uint8Array, binary: boolean): void {
    if (this.#end || this.#closing) return;
    this.#later(() => {
      if (!this.#open) return;
      if (bytes.byteLength > this.#limits.messageBytesMax)
        return this.close(1009, 'the message is too large');
      this.#guard('message', () => this.#handlers.message(this, bytes, binary));
    });
  }

  /** The client leaves; 1006: without a close frame. */
  leave(code: number, reason: string): void {
    if (this.#end) return;
    this.#later(() => {
      if (this.#told) return;
      this.#open = false;
      this.#queue.length = this.#queued = 0;
      this.#over({ code, reason });
      this.#gone(code, reason);
    });
  }

  /** A sign of life of the client. */
  life(): void {
    this.#later(() => {
      if (this.#open) this.#guard('alive', () => this.#handlers.alive(this));
    });
  }

  #put(frame: Frame): void {
    this.#queue.push(frame);
    this.#queued += sizeOf(frame);
    // Behind others it waits for its turn: what a client takes shows in the next one.
    if (this.#queue.length === 1) this.#pump();
  }

  /** Moves what fits into the window; one message of any size when it is empty. */
  #pump(): void {
    for (let next = this.#queue.at(0); next !== undefined; next = this.#queue.at(0)) {
      const size = sizeOf(next);
      if (this.#arrivedBytes > 0 && this.#arrivedBytes + size > this.#limits.windowBytes) return;
      this.#queue.shift();
      this.#queued -= size;
      this.#arrive(next);
    }
  }

  #arrive(frame: Frame): void {
    if (frame === 'ping') {
      if (this.#limits.pongs) this.life();
    } else if ('end' in frame) {
      this.#over(frame.end);
      queueMicrotask(() => this.#gone(frame.end.code, frame.end.reason));
    } else {
      this.#arrived.push(frame);
      this.#arrivedBytes += sizeOf(frame);
      this.#wake();
    }
  }

  #over(end: MemoryEnd): void {
    this.#end ??= end;
    this.#wake();
  }

  #wake(): void {
    for (const taker of this.#takers.splice(0)) taker();
  }

  #refill(): void {
    this.#refilling = false;
    const before = this.#queued;
    this.#pump();
    if (this.#queued < before && this.#open) this.#guard('drain', () => this.#handlers.drain(this));
  }

  #gone(code: number, reason: string): void {
    if (this.#told) return;
    this.#told = true;
    clearTimeout(this.#closing?.timer);
    this.#limits.over();
    try {
      this.#handlers.close(this, code, reason);
    } catch (error) {
      this.#handlers.fault(error, 'close');
    }
  }

  #guard(where: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#handlers.fault(error, where);
      this.close(1011, 'internal error');
    }
  }

  #later(task: () => void): void {
    this.#turn.push(task);
    if (this.#turn.length > 1) return;
    setImmediate(() => {
      const tasks = this.#turn;
      this.#turn = [];
      for (const each of tasks) each();
    });
  }
}

function sizeOf(frame: Frame): number {
  return typeof frame === 'object' && 'bytes' in frame
    ? MEMORY_FRAME_BYTES + frame.bytes.byteLength
    : MEMORY_FRAME_BYTES;
}
