/** WebSockets towards back ends, over the `ws` client: no redirects, no compression, every phase bounded. */
import { createRequire } from 'node:module';
import type * as Ws from 'ws';
import { MillraceError } from '../../errors.ts';
import { close as closeCode } from '../../protocol/close.ts';
import type {
  SocketHandler,
  SocketRequest,
  SocketTransport,
  UpstreamSocket,
} from '../../protocol/socket-transport.ts';
import { reasonOf } from './reason.ts';

/** A peer that does not answer our close frame is dropped after this time. */
const CLOSE_WAIT_MS = 2_000;
/** A longer message goes in fragments: each tells that the peer still reads, long before all of it is written. */
const FRAGMENT_BYTES = 256 * 1024;

export class WebSocketTransport implements SocketTransport {
  readonly #sockets = new Set<ClientSocket>();
  readonly #ca: string | undefined;
  #emptied: () => void = () => {};

  /** `ca`: another certificate authority to trust, PEM. */
  constructor({ ca }: { readonly ca?: string } = {}) {
    this.#ca = ca;
  }

  get sockets(): number {
    return this.#sockets.size;
  }

  open(upstream: string, request: SocketRequest, handler: SocketHandler): UpstreamSocket {
    const gone = () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#emptied();
    };
    const socket = new ClientSocket(upstream, request, handler, gone, this.#ca);
    this.#sockets.add(socket);
    return socket;
  }

  async close(): Promise<void> {
    if (this.#sockets.size === 0) return;
    const emptied = new Promise<void>((resolve) => (this.#emptied = resolve));
    for (const socket of this.#sockets) socket.close(closeCode.away);
    await emptied;
  }
}

/** Loaded by the first back end: a worker that has none starts without it. */
let ws: typeof Ws;

class ClientSocket implements UpstreamSocket {
  readonly #upstream: string;
  readonly #client: Ws.WebSocket;
  readonly #gone: () => void;
  #handler: SocketHandler;
  #isOpen = false;
  /** The handler has heard its last. */
  #over = false;
  /** Something waited after a send. */
  #waits = false;
  #timer: NodeJS.Timeout;

  constructor(
    upstream: string,
    request: SocketRequest,
    handler: SocketHandler,
    gone: () => void,
    ca: string | undefined,
  ) {
    const { url, protocol, headers, handshakeTimeoutMs: limitMs, messageBytesMax } = request;
    this.#upstream = upstream;
    this.#handler = handler;
    this.#gone = gone;
    ws ??= createRequire(import.meta.url)('ws') as typeof ws;
    const client = new ws.WebSocket(url, protocol === undefined ? [] : [protocol], {
      headers,
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
      followRedirects: false,
      ...(ca !== undefined && { ca }),
    });
    this.#client = client;
    // One clock over all of it: a peer that sends a header byte now and then must not reset it.
    this.#timer = setTimeout(() => {
      this.#fail(new MillraceError('MILLRACE_UPSTREAM_CONNECT_TIMEOUT', { upstream, limitMs }));
    }, limitMs);
    client.on('open', () => this.#opened());
    client.on('unexpected-response', (asked, { statusCode = 0 }) => {
      asked.destroy();
      const reason = 'it does not upgrade to a WebSocket';
      const upstreamStatus = statusCode;
      this.#fail(
        new MillraceError('MILLRACE_UPSTREAM_STATUS', { upstream, upstreamStatus, reason }),
      );
    });
    client.on('message', (data, binary) => this.#received(data, binary));
    client.on('ping', () => this.#alive());
    client.on('pong', () => this.#alive());
    client.on('error', (error) => this.#broke(error));
    client.on('close', (code, reason) => this.#closed(code, reason.toString()));
  }

  get buffered(): number {
    return this.#client.bufferedAmount;
  }

  attach(handler: SocketHandler): void {
    this.#handler = handler;
  }

  send(bytes: Uint8Array, binary: boolean): void {
    if (this.#over || !this.#isOpen) return;
    for (let from = 0, end = 0; end < bytes.length || from === 0; from = end) {
      end = Math.min(bytes.length, from + FRAGMENT_BYTES);
      const fin = end === bytes.length;
      this.#client.send(bytes.subarray(from, end), { binary, compress: false, fin }, this.#written);
      if (fin) break;
    }
    this.#waits ||= this.buffered > 0;
  }

  readonly #written = (error?: Error): void => {
    if (error || this.#over || !this.#waits) return;
    this.#waits = this.buffered > 0;
    this.#handler.drained();
  };

  ping(): void {
    if (!this.#over && this.#isOpen) this.#client.ping();
  }

  pause(): void {
    if (!this.#over) this.#client.pause();
  }

  resume(): void {
    if (!this.#over) this.#client.resume();
  }

  close(code?: number, reason = ''): void {
    if (this.#over) return;
    if (!this.#isOpen) return this.terminate();
    this.#over = true;
    // Its close frame may lie behind messages that nobody read.
    this.#client.resume();
    if (code === undefined) this.#client.close();
    else this.#client.close(code, reason);
    this.#timer = setTimeout(() => this.#client.terminate(), CLOSE_WAIT_MS);
  }

  terminate(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#client.terminate();
  }

  #opened(): void {
    clearTimeout(this.#timer);
    if (this.#over) return this.#client.terminate();
    this.#isOpen = true;
    this.#handler.opened();
  }

  #received(data: Ws.RawData, binary: boolean): void {
    if (!this.#over) this.#handler.message(data as Buffer, binary);
  }

  #alive(): void {
    if (!this.#over) this.#handler.alive();
  }

  #fail(error: MillraceError): void {
    if (this.#over) return;
    this.terminate();
    this.#handler.failed(error);
  }

  /** Before it is open: no connection came about. Afterwards: the peer broke a rule, and `ws` has sent the close frame that says which. */
  #broke(error: Error & { code?: unknown }): void {
    if (this.#over) return;
    if (!this.#isOpen) {
      const upstream = this.#upstream;
      const reason = reasonOf(error);
      const code =
        error.code === undefined ? 'MILLRACE_UPSTREAM_MALFORMED' : 'MILLRACE_UPSTREAM_REFUSED';
      return this.#fail(new MillraceError(code, { upstream, reason }));
    }
    if (!String(error.code).startsWith('WS_ERR_')) return;
    this.#over = true;
    this.#timer = setTimeout(() => this.#client.terminate(), CLOSE_WAIT_MS);
    this.#handler.closed(1006, '', error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  }

  #closed(code: number, reason: string): void {
    clearTimeout(this.#timer);
    this.#gone();
    if (this.#over) return;
    this.#over = true;
    this.#handler.closed(code, reason, false);
  }
}
