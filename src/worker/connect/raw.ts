/**
 * HTTP/1.1, in the clear and over TLS, read by our own reader straight from the socket: no stream objects, no copy, one static
 * buffer for all sockets of the thread. http.ts stands behind the same contract, with undici.
 *
 *   open ─▶ queued ─▶ connecting ─▶ written ─▶ head ─▶ body ─▶ over
 *             └────────────┴────────────┴────────┴──────┴─▶ cancel(): the socket is closed at once
 */
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { must } from '../../must.ts';
import { scanKernel } from '../../protocol/scan-kernel.ts';
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import { connectedEvent, connectSocket, type LineOptions } from './line.ts';
import { reasonOf } from './reason.ts';
import {
  type Headers,
  MalformedResponse,
  type ResponseEvents,
  ResponseReader,
} from './response.ts';
import { type PooledLine, PooledTransport, type SocketOptions, type Sockets } from './sockets.ts';

const READ_BYTES = 64 * 1024;
/**
 * A read is handled to its end before the next one: all sockets of a thread share one buffer. In the scanner's own memory where there is
 * one: what is read need not be copied to be scanned.
 */
const readBuffer = scanKernel()?.readArea ?? new Uint8Array(READ_BYTES);

export class RawTransport extends PooledTransport<RawLine> {
  constructor(options: SocketOptions) {
    super(options, (...of) => new RawExchange(...of), connectIdle);
  }
}

function connectIdle(
  sockets: Sockets<RawLine>,
  origin: string,
  ready: (line: RawLine) => void,
): RawLine {
  const line = connect(sockets, origin, undefined);
  line.socket.once(connectedEvent(origin), () => {
    line.rest();
    ready(line);
  });
  return line;
}

function connect(
  sockets: Sockets<RawLine>,
  origin: string,
  exchange: RawExchange | undefined,
): RawLine {
  const line = new RawLine(sockets.line(origin), exchange, () => sockets.stays(line));
  sockets.own(origin, line.socket);
  return sockets.watch(line);
}

/** One socket. What it reads goes to the exchange it serves; bytes that nobody asked for close it. */
class RawLine implements PooledLine, ResponseEvents {
  readonly origin: string;
  readonly untilMs: number;
  readonly socket: Socket;
  /** Exchanges it served. */
  uses = 0;
  /** Bytes it read for the present exchange. */
  read = 0;
  exchange: RawExchange | undefined;
  readonly #reader = new ResponseReader(this);
  readonly #idleMs: number;
  #error: Error | undefined;
  #ended = false;

  /** `stays`: though nobody has used it for so long. */
  constructor(options: LineOptions, exchange: RawExchange | undefined, stays: () => boolean) {
    this.origin = options.origin;
    this.untilMs = options.untilMs;
    this.#idleMs = options.idleMs;
    this.exchange = exchange;
    this.socket = connectSocket(options, {
      buffer: readBuffer,
      callback: (length) => {
        options.onRead?.();
        this.#bytes(readBuffer.subarray(0, length));
        return this.exchange?.reading ?? true;
      },
    });
    this.socket.on('error', (error) => {
      this.#error = error;
    });
    // Both come once; `once` would keep a wrapper for each.
    this.socket.on('end', () => this.#end());
    this.socket.on('close', () => this.#lost(this.#error ?? new Error('')));
    this.socket.on('timeout', () => {
      if (stays()) this.socket.setTimeout(this.#idleMs);
      else this.destroy();
    });
  }

  get usable(): boolean {
    return !this.#ended && !this.socket.destroyed && this.socket.writable;
  }

  serve(exchange: RawExchange): void {
    this.exchange = exchange;
    this.read = 0;
    this.socket.setTimeout(0);
    this.#reader.reset();
  }

  rest(): void {
    this.exchange = undefined;
    this.uses += 1;
    this.socket.setTimeout(this.#idleMs);
  }

  destroy(): void {
    this.exchange = undefined;
    this.socket.destroy();
  }

  head(status: number, headers: Headers): void {
    this.exchange?.head(status, headers);
  }

  body(bytes: Uint8Array): void {
    this.exchange?.body(bytes);
  }

  done(reusable: boolean): void {
    this.exchange?.done(reusable);
  }

  #bytes(bytes: Uint8Array): void {
    this.read += bytes.length;
    if (!this.exchange) return this.destroy();
    try {
      this.#reader.push(bytes);
    } catch (thrown) {
      this.#malformed(thrown);
    }
  }

  #end(): void {
    this.#ended = true;
    if (!this.exchange || this.read === 0) return;
    try {
      this.#reader.end();
    } catch (thrown) {
      this.#malformed(thrown);
    }
  }

  /** What the peer did wrong ends the exchange; anything else is a bug of ours and must be seen. */
  #malformed(thrown: unknown): void {
    if (!(thrown instanceof MalformedResponse)) throw thrown;
    this.#lost(thrown);
    this.socket.destroy();
  }

  #lost(error: Error): void {
    const { exchange } = this;
    this.exchange = undefined;
    exchange?.lost(error);
  }
}

class RawExchange implements Exchange {
  readonly #sockets: Sockets<RawLine>;
  readonly #upstream: UpstreamAddress;
  /** Until it is answered: no fresh socket needs it then. */
  #request: ExchangeRequest | undefined;
  readonly #handler: ExchangeHandler;
  #line: RawLine | undefined;
  #written = false;
  #sent = false;
  #headed = false;
  #paused = false;
  #over = false;
  /** What came in the read during which, or before which, it was paused; and how it ended. */
  #held: Uint8Array[] = [];
  #ending: boolean | Error | undefined;

  constructor(
    sockets: Sockets<RawLine>,
    upstream: UpstreamAddress,
    request: ExchangeRequest,
    handler: ExchangeHandler,
  ) {
    this.#sockets = sockets;
    this.#upstream = upstream;
    this.#request = request;
    this.#handler = handler;
    queueMicrotask(() => {
      if (this.#over) return;
      const line = sockets.take(upstream.origin);
      if (line) this.#write(line);
      else this.#connect();
    });
  }

  /** Only a body is held back: the head may always come. */
  get reading(): boolean {
    return !(this.#paused && this.#headed);
  }

  pause(): void {
    this.#paused = true;
    if (this.#headed) this.#line?.socket.pause();
  }

  resume(): void {
    this.#paused = false;
    while (this.#held.length > 0 && this.reading) {
      this.#handler.data(this.#held.shift() as Uint8Array);
      if (this.#over) return;
    }
    if (!this.reading) return;
    const ending = this.#ending;
    this.#ending = undefined;
    if (typeof ending === 'boolean') this.#finish(ending);
    else if (ending) this.#fail('MILLRACE_UPSTREAM_RESET', ending);
    else if (this.#written) this.#line?.socket.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#held = [];
    this.#line?.destroy();
    this.#line = undefined;
  }

  #connect(): void {
    this.#written = false;
    const { origin } = this.#upstream;
    const line = connect(this.#sockets, origin, this);
    this.#line = line;
    line.socket.once(connectedEvent(origin), () => {
      if (!this.#over) this.#write(line);
    });
  }

  #write(line: RawLine): void {
    this.#line = line;
    const request = this.#request;
    must(request, 'what is answered is not asked again');
    let bytes: Uint8Array;
    try {
      bytes = requestBytes(this.#upstream.origin, request);
    } catch (thrown) {
      line.destroy();
      return this.#fail('MILLRACE_UPSTREAM_RESET', thrown as Error);
    }
    line.serve(this);
    this.#written = true;
    line.socket.write(bytes);
    if (this.#sent) return;
    this.#sent = true;
    this.#handler.sent();
  }

  // What the line tells.

  head(status: number, headers: Headers): void {
    this.#headed = true;
    this.#request = undefined;
    if (this.#paused) this.#line?.socket.pause();
    if (!this.#over) this.#handler.head(status, (name) => headers.get(name));
  }

  body(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.reading) this.#handler.data(bytes);
    else this.#held.push(bytes.slice());
  }

  done(reusable: boolean): void {
    if (this.#over) return;
    if (this.#held.length > 0) this.#ending = reusable;
    else this.#finish(reusable);
  }

  /** The socket is gone, or the peer spoke nonsense. */
  lost(error: Error): void {
    const line = this.#line;
    if (this.#over || this.#ending !== undefined) return;
    if (!this.#written) return this.#fail('MILLRACE_UPSTREAM_REFUSED', error);
    // Kept alive, closed by the peer meanwhile: no byte of an answer was seen, so the request goes to a fresh socket, once.
    if (line && line.uses > 0 && line.read === 0) return this.#connect();
    if (this.#held.length > 0) this.#ending = error;
    else this.#fail('MILLRACE_UPSTREAM_RESET', error);
  }

  #finish(reusable: boolean): void {
    const line = this.#line;
    this.#over = true;
    this.#line = undefined;
    if (line) {
      line.rest();
      if (this.#paused) line.socket.resume();
      if (reusable) this.#sockets.give(line);
      else line.destroy();
    }
    this.#handler.end();
  }

  #fail(code: 'MILLRACE_UPSTREAM_REFUSED' | 'MILLRACE_UPSTREAM_RESET', cause: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#line = undefined;
    const lost = !('code' in cause) && cause.message === '';
    const reason = lost ? 'closed before the answer was complete' : reasonOf(cause);
    const details = { upstream: this.#upstream.name, reason };
    this.#handler.fail(new MillraceError(code, details, { cause }));
  }
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const target = /^\/[\x21-\x7e]*$/;

/** Head and body in one piece: one write. Throws for what cannot be sent as HTTP; the text does not quote it. */
function requestBytes(
  origin: string,
  { method, path, headers, body }: ExchangeRequest,
): Uint8Array {
  if (!target.test(path)) throw new Error('a path that cannot be sent');
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${new URL(origin).host}\r\nconnection: keep-alive\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (!token.test(name) || !fieldValue.test(value)) {
      throw new Error('a header that cannot be sent');
    }
    head += `${name}: ${value}\r\n`;
  }
  if (method === 'GET') return Buffer.from(`${head}\r\n`, 'latin1');
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from(`${head}content-length: ${bytes.length}\r\n\r\n`, 'latin1'),
    bytes,
  ]);
}
