/**
 * The Responses API over its WebSocket, behind the contract of an HTTP exchange: the request goes as `response.create`, each event comes back as an event of an event stream.
 * One response at a time on a socket; a socket whose response has ended in order waits for the next one with the same key.
 *
 *   open ─▶ opening ─▶ asked ─▶ first event (head) ─▶ events ─▶ last event: end, the socket waits
 *             └───────────┴──────────┴─────────────────┴─▶ cancel(): the socket is closed at once
 */
import { MillraceError } from '../../errors.ts';
import { close as closeCode } from '../../protocol/close.ts';
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

interface Kept {
  readonly socket: UpstreamSocket;
  readonly timer: NodeJS.Timeout;
}

export class EventSocketTransport implements Transport {
  readonly #options: SocketOptions;
  readonly #transport: SocketTransport;
  readonly #kept = new Map<string, Kept[]>();
  #closing = false;

  constructor(options: SocketOptions, transport: SocketTransport) {
    this.#options = options;
    this.#transport = transport;
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

  /** The one that was used last. */
  take(key: string): UpstreamSocket | undefined {
    const kept = this.#kept.get(key)?.pop();
    clearTimeout(kept?.timer);
    return kept?.socket;
  }

  /** It waits for the next request; whatever it says meanwhile ends it. */
  give(key: string, socket: UpstreamSocket): void {
    const all = this.#kept.get(key) ?? [];
    this.#kept.set(key, all);
    if (this.#closing || all.length >= this.#options.idleSocketsMax)
      return socket.close(closeCode.normal);
    const forget = (): void => {
      clearTimeout(kept.timer);
      const at = all.indexOf(kept);
      if (at >= 0) all.splice(at, 1);
    };
    const drop = (): void => {
      forget();
      socket.close(closeCode.normal);
    };
    const kept = { socket, timer: setTimeout(drop, this.#options.idleMs) };
    all.push(kept);
    const quiet = { opened() {}, alive() {}, drained() {} };
    socket.attach({ ...quiet, failed: forget, message: drop, closed: forget });
  }

  // A socket belongs to a request's key: none is opened before there is one.

  keep(): void {}

  idle(): number {
    return 0;
  }

  shed(): void {}

  async close(): Promise<void> {
    this.#closing = true;
    for (const all of this.#kept.values()) for (const { timer } of all) clearTimeout(timer);
    this.#kept.clear();
    await this.#transport.close();
  }
}

class EventSocketExchange implements Exchange, SocketHandler {
  readonly #transport: EventSocketTransport;
  readonly #upstream: UpstreamAddress;
  readonly #request: ExchangeRequest;
  readonly #handler: ExchangeHandler;
  readonly #key: string;
  #socket: UpstreamSocket | undefined;
  #reused = false;
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
    queueMicrotask(() => {
      if (this.#over) return;
      const kept = transport.take(this.#key);
      if (!kept) return this.#connect();
      this.#reused = true;
      this.#socket = kept;
      kept.attach(this);
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
    const { stream: _, ...create } = JSON.parse(this.#request.body) as Record<string, unknown>;
    const text = JSON.stringify({ type: 'response.create', ...create });
    this.#socket?.send(Buffer.from(text), false);
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
      this.#headed = true;
      const isRefusal = type === 'error' && status >= 400;
      const contentType = isRefusal ? 'application/json' : 'text/event-stream';
      const header = (name: string) => (name === 'content-type' ? contentType : undefined);
      this.#handler.head(isRefusal ? status : 200, header);
      if (isRefusal) return this.#end(Buffer.from(text), true);
      if (this.#paused) this.#socket?.pause();
    }
    // Line breaks stand between the tokens of JSON only.
    const event = Buffer.from(`data: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`);
    if (ends.has(type)) this.#end(event, type === 'error');
    else this.#handler.data(event);
  }

  alive(): void {}

  drained(): void {}

  closed(code: number, _: string, tooLarge: boolean): void {
    if (this.#over) return;
    // Kept, and closed by the peer meanwhile: nothing of an answer was seen, so the request goes over a fresh one, once.
    if (this.#reused && !this.#headed) return this.#connect();
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
    this.#reused = false;
    this.#socket = this.#transport.connect(this.#upstream, this.#request, this);
  }

  /** The last bytes of the answer. */
  #end(bytes: Uint8Array, isError: boolean): void {
    if (this.#socket && !isError) {
      if (this.#paused) this.#socket.resume();
      this.#transport.give(this.#key, this.#socket);
    } else this.#socket?.close(closeCode.normal);
    this.#socket = undefined;
    this.#handler.data(bytes);
    if (this.#over) return;
    this.#over = true;
    this.#handler.end();
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
