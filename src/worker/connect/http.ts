/**
 * HTTP/1.1 towards upstreams behind protocol/transport.ts: undici parses, the sockets are ours (line.ts). One exchange at a
 * time per socket; a socket whose exchange ended by its framing waits idle for the next one to the same origin, latest first.
 *
 *   open ─▶ queued ─▶ connecting ─▶ written ─▶ head ─▶ body ─▶ over
 *             └────────────┴────────────┴────────┴──────┴─▶ cancel(): the socket is closed at once
 */
import type { Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { MillraceError } from '../../errors.ts';
import { must } from '../../must.ts';
import type { HeaderReader } from '../../protocol/provider.ts';
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import { connectedEvent, connectSocket, Line } from './line.ts';
import { reasonOf } from './reason.ts';
import { PooledTransport, type SocketOptions, type Sockets } from './sockets.ts';

export class HttpTransport extends PooledTransport<Line> {
  constructor(options: SocketOptions) {
    super(options, (...of) => new HttpExchange(...of), connectIdle);
  }
}

function connectIdle(sockets: Sockets<Line>, origin: string, ready: (line: Line) => void) {
  const options = sockets.line(origin);
  const socket = connectSocket(options);
  sockets.own(origin, socket);
  socket.once('error', () => socket.destroy());
  socket.once(connectedEvent(origin), () => {
    const line = sockets.watch(new Line(options, socket));
    line.uses = 1;
    // Until undici has the socket, nobody else hears that it broke.
    socket.on('error', () => {});
    ready(line);
  });
  return { socket };
}

class HttpExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #sockets: Sockets<Line>;
  readonly #upstream: UpstreamAddress;
  /** Until it is answered: no fresh socket needs it then. */
  #request: ExchangeRequest | undefined;
  readonly #handler: ExchangeHandler;
  #connecting: Socket | undefined;
  #line: Line | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #paused = false;
  #over = false;
  #sent = false;
  #headed = false;
  /** `bytesRead` of the socket when the request was handed to it. */
  #readBefore = 0;
  /** Body pieces of the read that is being parsed: handed over as one when it is through. */
  #pieces: Uint8Array[] = [];

  constructor(
    sockets: Sockets<Line>,
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
      if (line) this.#dispatch(line);
      else this.#connect();
    });
  }

  pause(): void {
    this.#paused = true;
    this.#controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#controller?.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#pieces = [];
    this.#connecting?.destroy();
    this.#line?.destroy();
    this.#line = undefined;
  }

  #connect(): void {
    const options = this.#sockets.line(this.#upstream.origin);
    const socket = connectSocket(options);
    this.#connecting = socket;
    this.#sockets.own(options.origin, socket);
    const refused = (error: Error): void => {
      socket.destroy();
      this.#fail('MILLRACE_UPSTREAM_REFUSED', error);
    };
    socket.once('error', refused);
    socket.once('close', () => {
      if (this.#connecting === socket) refused(new Error('closed while connecting'));
    });
    socket.once(connectedEvent(options.origin), () => {
      this.#connecting = undefined;
      socket.off('error', refused);
      if (this.#over) socket.destroy();
      else this.#dispatch(this.#sockets.watch(new Line(options, socket)));
    });
  }

  #dispatch(line: Line): void {
    this.#line = line;
    this.#readBefore = line.socket.bytesRead;
    const request = this.#request;
    must(request, 'what is answered is not asked again');
    const { method, path, headers, body } = request;
    line.client.dispatch({ method, path, headers, body: method === 'POST' ? body : null }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#paused) controller.pause();
    if (this.#over || this.#sent) return;
    this.#sent = true;
    this.#handler.sent();
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are not the response (RFC 9110 section 15.2).
    if (this.#over || status < 200) return;
    this.#headed = true;
    this.#request = undefined;
    this.#handler.head(status, reader(headers));
  }

  onResponseData(_: Dispatcher.DispatchController, piece: Uint8Array): void {
    if (this.#over) return;
    // A read often holds many small HTTP chunks: one call for all of them, so that their deltas leave together.
    if (this.#pieces.push(piece) > 1) return;
    this.#sockets.options.onRead?.();
    queueMicrotask(() => this.#handOver());
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#handOver();
    if (this.#over) return;
    this.#over = true;
    const line = this.#line;
    this.#line = undefined;
    if (line) {
      line.uses += 1;
      this.#sockets.give(line);
    }
    this.#handler.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    const line = this.#line;
    this.#line = undefined;
    line?.destroy();
    // Kept alive, closed by the peer meanwhile: no byte of an answer was seen, so the request goes to a fresh socket, once.
    const stale = line && line.uses > 0 && line.socket.bytesRead === this.#readBefore;
    if (stale && !this.#headed) return this.#connect();
    this.#handOver();
    this.#fail('MILLRACE_UPSTREAM_RESET', error);
  }

  #handOver(): void {
    const pieces = this.#pieces;
    if (this.#over || pieces.length === 0) return;
    this.#pieces = [];
    this.#handler.data(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
  }

  #fail(code: 'MILLRACE_UPSTREAM_REFUSED' | 'MILLRACE_UPSTREAM_RESET', cause: Error): void {
    this.#connecting = undefined;
    if (this.#over) return;
    this.#over = true;
    const details = { upstream: this.#upstream.name, reason: reasonOf(cause) };
    this.#handler.fail(new MillraceError(code, details, { cause }));
  }
}

function reader(headers: Record<string, string | string[] | undefined>): HeaderReader {
  return (name) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
}
