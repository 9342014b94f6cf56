/**
 * The Responses API over its WebSocket, behind the contract of an HTTP exchange: the request goes as `response.create`, each event comes back as an event of an event stream.
 * One response at a time on a socket; a socket whose response has ended in order waits for the next one with the same key. Where its server can continue that response, the next turn of
 * the same conversation goes to that socket, as the response's id and what is new (kept-sockets.ts).
 *
 *   open ─▶ opening ─▶ asked ─▶ first event (head) ─▶ events ─▶ last event: end, the socket waits
 *             └───────────┴──────────┴─────────────────┴─▶ cancel(): the socket is closed at once
 */
import { MillraceError } from '../../errors.ts';
import { must } from '../../must.ts';
import { close as closeCode } from '../../protocol/close.ts';
import { saidItems } from '../../protocol/providers/said-items.ts';
import type {
  SocketHandler,
  SocketTransport,
  UpstreamSocket,
} from '../../protocol/socket-transport.ts';
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  Transport,
  UpstreamAddress,
} from '../../protocol/transport.ts';
import { ItemsHash } from './items-hash.ts';
import {
  type Continued,
  createText,
  isForgotten,
  KeptSockets,
  type SocketMemory,
} from './kept-sockets.ts';
import type { SocketOptions } from './sockets.ts';

/** The clocks of an attempt strike long before. */
const HANDSHAKE_MS_MAX = 600_000;
/** Larger events than any option allows are not read at all. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

const ends: ReadonlySet<string> = new Set([
  'response.completed',
  'response.failed',
  'response.incomplete',
  'error',
]);
/** Of the request, not of the connection. */
const bodyHeaders: ReadonlySet<string> = new Set(['accept', 'content-type', 'content-length']);

export class EventSocketTransport implements Transport {
  readonly #transport: SocketTransport;
  readonly kept: KeptSockets;

  constructor(options: SocketOptions, transport: SocketTransport) {
    this.#transport = transport;
    this.kept = new KeptSockets(options);
  }

  get sockets(): number {
    return this.#transport.sockets;
  }

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    return new EventSocketExchange(this, upstream, request, handler);
  }

  connect(upstream: UpstreamAddress, request: ExchangeRequest, handler: SocketHandler) {
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !bodyHeaders.has(name.toLowerCase())),
    );
    const url = `${upstream.origin}${request.path}`;
    const bounds = { handshakeTimeoutMs: HANDSHAKE_MS_MAX, messageBytesMax: MESSAGE_BYTES_MAX };
    return this.#transport.open(
      upstream.name,
      { url, protocol: undefined, headers, ...bounds },
      handler,
    );
  }

  // A socket belongs to a request's key: none is opened before there is one.

  keep(): void {}

  idle(): number {
    return 0;
  }

  shed(): void {}

  async close(): Promise<void> {
    this.kept.close();
    await this.#transport.close();
  }
}

class EventSocketExchange implements Exchange, SocketHandler {
  readonly #transport: EventSocketTransport;
  readonly #upstream: UpstreamAddress;
  /** Until it is answered: nothing is sent again then. */
  #request: ExchangeRequest | undefined;
  readonly #handler: ExchangeHandler;
  readonly #key: string;
  /** What it asks and is told, where a later one may continue it. */
  readonly #said: ItemsHash | undefined;
  #socket: UpstreamSocket | undefined;
  #reused = false;
  /** It asked for less than the whole. */
  #continues: Continued | undefined;
  #isSent = false;
  #headed = false;
  #paused = false;
  #over = false;
  /** What came while it was paused, and how it ended behind that. */
  #held: string[] = [];
  #lost: MillraceError | undefined;

  constructor(
    transport: EventSocketTransport,
    upstream: UpstreamAddress,
    request: ExchangeRequest,
    handler: ExchangeHandler,
  ) {
    this.#transport = transport;
    this.#upstream = upstream;
    this.#request = request;
    this.#handler = handler;
    this.#key = `${upstream.origin}${request.path} ${request.headers['authorization'] ?? ''}`;
    if (upstream.continuesById) this.#said = new ItemsHash();
    queueMicrotask(() => {
      if (this.#over) return;
      const kept = transport.kept.take(this.#key, request, this.#said);
      if (!kept) return this.#connect();
      this.#reused = true;
      this.#socket = kept.socket;
      this.#continues = kept.continued;
      kept.socket.attach(this);
      this.opened();
    });
  }

  pause(): void {
    this.#paused = true;
    if (this.#headed) this.#socket?.pause();
  }

  resume(): void {
    this.#paused = false;
    while (this.#held.length > 0 && !this.#paused && !this.#over)
      this.#read(this.#held.shift() as string);
    if (this.#paused || this.#over) return;
    if (this.#lost) this.#fail(this.#lost);
    else this.#socket?.resume();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#held = [];
    this.#socket?.terminate();
  }

  // What the socket says.

  opened(): void {
    if (this.#over) return;
    const request = this.#request;
    must(request, 'what is answered is not asked again');
    this.#socket?.send(Buffer.from(createText(request, this.#continues)), false);
    if (this.#isSent) return;
    this.#isSent = true;
    this.#handler.sent();
  }

  failed(error: MillraceError): void {
    if (this.#over) return;
    this.#over = true;
    const status = error.details['upstreamStatus'];
    if (typeof status !== 'number') return this.#handler.fail(error);
    // What an HTTP answer of this status means, its provider knows.
    this.#handler.head(status, () => undefined);
    this.#handler.end();
  }

  message(bytes: Uint8Array): void {
    if (this.#over) return;
    const text = Buffer.from(bytes).toString();
    if (this.#paused && this.#headed) this.#held.push(text);
    else this.#read(text);
  }

  #read(text: string): void {
    const { type, status } = kindOf(text);
    if (!this.#headed) {
      if (type === 'error' && this.#continues && isForgotten(text)) return this.#askWhole();
      this.#headed = true;
      this.#request = undefined;
      const isRefusal = type === 'error' && status >= 400;
      const contentType = isRefusal ? 'application/json' : 'text/event-stream';
      const header = (name: string) => (name === 'content-type' ? contentType : undefined);
      this.#handler.head(isRefusal ? status : 200, header);
      if (isRefusal) return this.#end(Buffer.from(text), 'error', text);
      if (this.#paused) this.#socket?.pause();
    }
    // Line breaks stand between the tokens of JSON only.
    const event = Buffer.from(`data: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`);
    if (ends.has(type)) this.#end(event, type, text);
    else this.#handler.data(event);
  }

  /** The server does not know the response any more: the same socket, once more. */
  #askWhole(): void {
    this.#continues = undefined;
    this.#transport.kept.forgot(this.#key);
    this.opened();
  }

  alive(): void {}

  drained(): void {}

  closed(code: number, _: string, tooLarge: boolean): void {
    if (this.#over) return;
    // Kept, and closed by the peer meanwhile: nothing of an answer was seen, so the request goes over a fresh one, once.
    if (this.#reused && !this.#headed) {
      this.#continues = undefined;
      return this.#connect();
    }
    const { name: upstream } = this.#upstream;
    const reason = tooLarge ? 'a message above every bound' : `closed with ${code}`;
    const error = new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream, reason });
    if (this.#held.length > 0) this.#lost = error;
    else this.#fail(error);
  }

  #fail(error: MillraceError): void {
    this.#over = true;
    this.#handler.fail(error);
  }

  #connect(): void {
    const request = this.#request;
    must(request, 'what is answered is not asked again');
    this.#reused = false;
    this.#socket = this.#transport.connect(this.#upstream, request, this);
  }

  /** The last bytes of the answer. `text`: the event in them. */
  #end(bytes: Uint8Array, type: string, text: string): void {
    if (this.#continues) this.#transport.kept.knew(this.#key);
    if (this.#socket && type !== 'error') {
      if (this.#paused) this.#socket.resume();
      const memory = type === 'response.completed' ? this.#memory(text) : undefined;
      this.#transport.kept.give(this.#key, this.#socket, memory);
    } else this.#socket?.close(closeCode.normal);
    this.#socket = undefined;
    this.#handler.data(bytes);
    if (this.#over) return;
    this.#over = true;
    this.#handler.end();
  }

  #memory(text: string): SocketMemory | undefined {
    if (!this.#said) return undefined;
    const { response } = JSON.parse(text) as { response?: { id?: unknown } };
    const items = saidItems(response);
    const id = response?.id;
    if (items === undefined || typeof id !== 'string') return undefined;
    for (const item of items) this.#said.add(item);
    return { id, count: this.#said.count, digest: this.#said.digest() };
  }
}

/** Mostly the type comes first; otherwise the event is read. */
function kindOf(text: string): { readonly type: string; readonly status: number } {
  const first = /^\s*\{\s*"type"\s*:\s*"([a-z_.]+)"/.exec(text)?.[1];
  if (first !== undefined && first !== 'error') return { type: first, status: 0 };
  try {
    const { type, status } = JSON.parse(text) as { type?: unknown; status?: unknown };
    return { type: String(type), status: typeof status === 'number' ? status : 0 };
  } catch {
    return { type: '', status: 0 };
  }
}
