/** WebSocket back ends that say what a test tells them to, behind the contract of protocol/socket-transport.ts. */
import assert from 'node:assert/strict';
import { MillraceError } from '../../src/errors.ts';
import type {
  SocketHandler,
  SocketRequest,
  SocketTransport,
  UpstreamSocket,
} from '../../src/protocol/socket-transport.ts';

export class FakeSocket implements UpstreamSocket {
  readonly upstream: string;
  readonly request: SocketRequest;
  /** What it was sent, in order. */
  readonly got: string[] = [];
  /** How it was closed by us: a code, 'none' for a frame without one, 'terminated'. */
  ended: number | 'none' | 'terminated' | undefined;
  endReason = '';
  paused = false;
  pings = 0;
  buffered = 0;
  /** Its reader keeps everything unread: what is sent stays buffered. */
  stuck = false;
  live = true;
  #handler: SocketHandler;

  constructor(upstream: string, request: SocketRequest, handler: SocketHandler) {
    this.upstream = upstream;
    this.request = request;
    this.#handler = handler;
  }

  attach(handler: SocketHandler): void {
    this.#handler = handler;
  }

  send(bytes: Uint8Array, binary: boolean): void {
    const text = Buffer.from(bytes).toString();
    this.got.push(binary ? `binary ${text}` : text);
    if (this.stuck) this.buffered += bytes.byteLength;
  }

  ping(): void {
    this.pings += 1;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }

  close(code?: number, reason = ''): void {
    this.#end(code ?? 'none');
    this.endReason = reason;
  }
  terminate(): void {
    this.#end('terminated');
  }

  // What the back end does.

  open(): this {
    this.#handler.opened();
    return this;
  }

  refuse(): void {
    this.live = false;
    const details = { upstream: this.upstream, reason: 'made up' };
    this.#handler.failed(new MillraceError('MILLRACE_UPSTREAM_REFUSED', details));
  }

  say(text: string, binary = false): this {
    const bytes = Buffer.from(text);
    this.#handler.message(bytes, binary);
    // Borrowed until return: whoever kept it sees nonsense.
    bytes.fill(0xdd);
    return this;
  }

  pong(): void {
    this.#handler.alive();
  }

  /** It reads everything that waits. */
  drain(): void {
    this.buffered = 0;
    this.#handler.drained();
  }

  gone(code = 1006, reason = '', tooLarge = false): void {
    this.live = false;
    this.#handler.closed(code, reason, tooLarge);
  }

  #end(how: number | 'none' | 'terminated'): void {
    assert.equal(this.ended, undefined, 'a socket is closed once');
    this.ended = how;
    this.live = false;
    this.#handler = dead;
  }
}

const never = () => assert.fail('a closed socket speaks to nobody');
const dead: SocketHandler = {
  opened: never,
  failed: never,
  message: never,
  alive: never,
  drained: never,
  closed: never,
};

export class FakeSockets implements SocketTransport {
  readonly all: FakeSocket[] = [];

  open(upstream: string, request: SocketRequest, handler: SocketHandler): UpstreamSocket {
    const socket = new FakeSocket(upstream, request, handler);
    this.all.push(socket);
    return socket;
  }

  get sockets(): number {
    return this.all.filter((socket) => socket.live).length;
  }

  /** The socket opened last. */
  get last(): FakeSocket {
    const last = this.all.at(-1);
    assert.ok(last, 'no socket was opened');
    return last;
  }

  close(): Promise<void> {
    for (const socket of this.all) if (socket.live) socket.close(1001);
    return Promise.resolve();
  }
}
