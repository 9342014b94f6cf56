/**
 * One client of the `ws` backend. Frames are built and written here, in one piece each or one per cork: a server's frame is a few header bytes and
 * the payload unmasked (RFC 6455 section 5.2), and a copy is needed anyway, because a socket that cannot write at once keeps what it was given.
 * `ws` writes its own frames (pong, ping, close) to the same socket, between ours.
 */
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { deflateMessage } from '../../codec/permessage-deflate.ts';
import type { BackendHandlers, Connection, SendStatus } from './backend.ts';
import { CLOSE_WAIT_MS, PONGS_WAIT_MS, PONGS_WAITING_MAX } from './patience.ts';

/** Where corked frames are joined; longer ones are written by themselves. One cork runs at a time. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);
let scratchTaken = false;
/** What the socket gets at once while the peer reads slowly. */
const PIECE_BYTES = 64 * 1024;
const RSV1 = 0x40;

export class WsConnection implements Connection {
  user: unknown;
  readonly #client: WebSocket;
  readonly #socket: Duplex;
  readonly #handlers: BackendHandlers;
  /** Text from this size on is compressed. */
  readonly #deflateFrom: number;
  #open = true;
  #told = false;
  #corked = false;
  /** Bytes joined in `scratch`, while this connection is corked: by `cork`, or since a message came in this turn. */
  #joined = 0;
  #pongsWaiting = 0;
  /** Frames not yet given to the socket, and their bytes. Not empty: a write is out, and its end brings the next. */
  readonly #queue: Buffer[] = [];
  #queued = 0;
  /** Writes given to the socket whose callback has not come. */
  #writes = 0;
  /** What waited when we last looked; 0: nothing waits. */
  #waiting = 0;
  /** The close we asked for. */
  #closing: { code: number; reason: string; timer: NodeJS.Timeout } | undefined;

  private constructor(
    client: WebSocket,
    socket: Duplex,
    user: unknown,
    handlers: BackendHandlers,
    deflateFrom: number,
  ) {
    const agreed = client.extensions.includes('permessage-deflate');
    this.#deflateFrom = agreed ? deflateFrom : Number.POSITIVE_INFINITY;
    this.#client = client;
    this.#socket = socket;
    this.user = user;
    this.#handlers = handlers;
  }

  static start(
    client: WebSocket,
    socket: Duplex,
    user: unknown,
    handlers: BackendHandlers,
    deflateFrom: number,
  ): void {
    const connection = new WsConnection(client, socket, user, handlers, deflateFrom);
    client.on('message', (data, binary) => connection.#received(data, binary));
    client.on('ping', connection.#pinged);
    client.on('pong', connection.#alive);
    client.on('error', (error) => connection.#broke(error));
    client.on('close', (code, reason) => connection.#gone(code, reason.toString()));
    connection.#guard('open', () => handlers.open(connection));
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Uint8Array, binary: boolean): SendStatus {
    if (!this.#open) return 'closed';
    if (bytes.length >= this.#deflateFrom && !binary) {
      const deflated = deflateMessage(bytes);
      if (deflated) return this.#frame(deflated, 0x81 | RSV1);
    }
    return this.#frame(bytes, binary ? 0x82 : 0x81);
  }

  #frame(bytes: Uint8Array, first: number): SendStatus {
    const size = headerSize(bytes.length) + bytes.length;
    if (this.#corked) {
      if (this.#joined + size > scratch.length) this.#flush();
      if (size <= scratch.length) {
        writeFrame(scratch, this.#joined, bytes, first);
        this.#joined += size;
        return this.#waiting > 0 ? 'buffered' : 'sent';
      }
    }
    const frame = Buffer.allocUnsafe(size);
    writeFrame(frame, 0, bytes, first);
    return this.#write(frame);
  }

  #write(frame: Buffer): SendStatus {
    if (this.#queued > 0 || (this.#writes > 0 && this.#socket.writableLength > 0)) {
      this.#queue.push(frame);
      this.#queued += frame.length;
    } else this.#give(frame);
    this.#waiting = this.#socket.writableLength + this.#queued;
    return this.#waiting > 0 ? 'buffered' : 'sent';
  }

  #give(frame: Buffer): void {
    this.#writes++;
    this.#socket.write(frame, this.#written);
  }

  /**
   * Called for every write, in a later turn. The socket gets the queue in pieces: it tells of a write only when all of it is gone, and a client
   * that reads slowly but steadily should be seen to do so.
   */
  readonly #written = (error?: Error | null): void => {
    this.#writes--;
    if (error || this.#waiting === 0) return;
    if (this.#writes === 0) this.#feed(PIECE_BYTES);
    const now = this.#socket.writableLength + this.#queued;
    const fell = now < this.#waiting;
    this.#waiting = now;
    if (!fell) return;
    if (this.#open) this.#guard('drain', () => this.#handlers.drain(this));
    else if (now === 0) this.#settleClose();
  };

  /** Whole frames, because `ws` writes its own between them. */
  #feed(bytes: number): void {
    if (this.#queued === 0) return;
    this.#socket.cork();
    let given = 0;
    let frames = 0;
    for (; frames < this.#queue.length && given < bytes; frames++) {
      given += this.#queue[frames].length;
      this.#give(this.#queue[frames]);
    }
    this.#queue.splice(0, frames);
    this.#queued -= given;
    this.#socket.uncork();
  }

  #flush(): void {
    if (this.#joined === 0) return;
    const frames = Buffer.allocUnsafe(this.#joined);
    scratch.copy(frames, 0, 0, this.#joined);
    this.#joined = 0;
    this.#write(frames);
  }

  buffered(): number {
    if (!this.#open) return 0;
    return this.#socket.writableLength + this.#queued + this.#joined;
  }

  cork(write: () => void): void {
    if (!this.#open || scratchTaken) {
      write();
      return;
    }
    scratchTaken = true;
    this.#corked = true;
    try {
      write();
    } finally {
      this.#corked = false;
      this.#flush();
      scratchTaken = false;
    }
  }

  /** All messages of one read come in one go; what answers them leaves in one write after it, as uWebSockets.js does by itself. */
  #joinRead(): void {
    if (scratchTaken) return;
    scratchTaken = this.#corked = true;
    process.nextTick(this.#readOver);
  }

  readonly #readOver = (): void => {
    this.#corked = false;
    this.#flush();
    scratchTaken = false;
  };

  ping(): void {
    if (!this.#open) return;
    this.#flush();
    this.#client.ping();
  }

  pause(): void {
    if (this.#open) this.#client.pause();
  }

  resume(): void {
    if (this.#open) this.#client.resume();
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#flush();
    // Its answer would not be read otherwise.
    this.#client.resume();
    this.#open = false;
    const timer = setTimeout(() => this.#client.terminate(), CLOSE_WAIT_MS);
    this.#closing = { code, reason, timer };
    this.#feed(Number.POSITIVE_INFINITY); // the close frame comes last
    this.#client.close(code, reason);
    this.#waiting = this.#socket.writableLength;
    if (this.#waiting === 0) queueMicrotask(() => this.#settleClose());
    else this.#give(Buffer.alloc(0));
  }

  /** The close frame is with the kernel: the session is over; `ws` waits for the peer's answer by itself. */
  #settleClose(): void {
    if (this.#closing) this.#gone(this.#closing.code, this.#closing.reason);
  }

  terminate(): void {
    if (this.#told) return;
    this.#joined = this.#queued = this.#queue.length = 0;
    this.#open = false;
    this.#client.terminate();
    queueMicrotask(() => this.#gone(1006, ''));
  }

  #received(data: RawData, binary: boolean): void {
    if (!this.#open) return;
    this.#joinRead();
    try {
      this.#handlers.message(this, data as Buffer, binary);
    } catch (error) {
      this.#failed(error, 'message');
    }
  }

  /** A peer that pings and does not read would make pongs pile up. */
  readonly #pinged = (): void => {
    if (this.#socket.writableLength === 0) this.#pongsWaiting = 0;
    else if (++this.#pongsWaiting === PONGS_WAITING_MAX) setTimeout(this.#pongsWait, PONGS_WAIT_MS);
    this.#alive();
  };

  /** Over TLS nothing leaves within a turn, so that a burst of pings alone proves nothing. */
  readonly #pongsWait = (): void => {
    if (this.#socket.writableLength > 0 && this.#pongsWaiting >= PONGS_WAITING_MAX)
      this.terminate();
    else this.#pongsWaiting = 0;
  };

  readonly #alive = (): void => {
    if (this.#open) this.#guard('alive', () => this.#handlers.alive(this));
  };

  /** The peer broke a rule: `ws` has sent the close frame that says which. */
  #broke(error: Error): void {
    const rule = 'code' in error ? String(error.code) : '';
    if (rule.startsWith('WS_ERR_')) this.#gone(brokenRule[rule] ?? 1002, error.message);
  }

  #gone(code: number, reason: string): void {
    if (this.#told) return;
    this.#told = true;
    this.#open = false;
    clearTimeout(this.#closing?.timer);
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
      this.#failed(error, where);
    }
  }

  #failed(error: unknown, where: string): void {
    this.#handlers.fault(error, where);
    this.close(1011, 'internal error');
  }
}

const brokenRule: Readonly<Record<string, number | undefined>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
};

function headerSize(length: number): number {
  if (length < 126) return 2;
  return length < 65_536 ? 4 : 10;
}

/** A whole, unmasked frame at `at`; `first`: FIN, RSV1 where it is compressed (RFC 7692 section 6), opcode. */
function writeFrame(target: Buffer, at: number, bytes: Uint8Array, first: number): void {
  const { length } = bytes;
  const header = headerSize(length);
  target[at] = first;
  if (header === 2) target[at + 1] = length;
  else if (header === 4) {
    target[at + 1] = 126;
    target.writeUInt16BE(length, at + 2);
  } else {
    target[at + 1] = 127;
    target.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
    target.writeUInt32BE(length % 2 ** 32, at + 6);
  }
  target.set(bytes, at + header);
}
