/** Upstreams that say what a test tells them to, behind the contract of protocol/transport.ts. */
import assert from 'node:assert/strict';
import { MillraceError } from '../../src/errors.ts';
import type {
  Exchange,
  ExchangeHandler,
  ExchangeRequest,
  Transport,
  UpstreamAddress,
} from '../../src/protocol/transport.ts';

export class FakeExchange implements Exchange {
  readonly upstream: string;
  readonly origin: string;
  readonly request: ExchangeRequest;
  cancelled = false;
  paused = false;
  /** Ended by the upstream: its socket may be used again. */
  over = false;
  pauses = 0;
  readonly #handler: ExchangeHandler;
  #backlog: (() => void)[] = [];

  constructor(
    { name, origin }: UpstreamAddress,
    request: ExchangeRequest,
    handler: ExchangeHandler,
  ) {
    this.upstream = name;
    this.origin = origin;
    this.request = request;
    this.#handler = handler;
  }

  pause(): void {
    if (!this.paused) this.pauses += 1;
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    while (!this.paused && this.#backlog.length > 0) this.#backlog.shift()?.();
  }

  cancel(): void {
    this.cancelled = true;
    this.#backlog = [];
  }

  /** Bytes that wait because the reader paused. */
  get waiting(): number {
    return this.#backlog.length;
  }

  get live(): boolean {
    return !this.cancelled && !this.over;
  }

  sent(): this {
    return this.#do(() => this.#handler.sent());
  }

  head(status = 200, headers: Record<string, string> = {}): this {
    const all: Record<string, string> = { 'content-type': 'text/event-stream', ...headers };
    return this.#do(() => this.#handler.head(status, (name) => all[name]));
  }

  /** Body bytes; they wait while the reader has paused. */
  bytes(text: string): this {
    return this.raw(Buffer.from(text));
  }

  raw(said: Uint8Array): this {
    const give = () => {
      const bytes = Buffer.from(said);
      this.#handler.data(bytes);
      // Borrowed until return: whoever kept it sees nonsense.
      bytes.fill(0xdd);
    };
    if (this.paused || this.#backlog.length > 0) {
      this.#backlog.push(() => this.#do(give));
      return this;
    }
    return this.#do(give);
  }

  /** A delta in chat-completion chunks, one event each. */
  say(...deltas: string[]): this {
    return this.bytes(deltas.map((content) => chunk({ delta: { content } })).join(''));
  }

  /** The finish reason. */
  stop(): this {
    return this.bytes(chunk({ delta: {}, finish_reason: 'stop' }));
  }

  done(): this {
    return this.bytes('data: [DONE]\n\n');
  }

  end(): this {
    return this.#last(() => this.#handler.end());
  }

  /** sent, head, all deltas, finish reason, marker, end. */
  answer(...deltas: string[]): this {
    return this.sent()
      .head()
      .say(...deltas)
      .stop()
      .done()
      .end();
  }

  fail(
    code: 'MILLRACE_UPSTREAM_RESET' | 'MILLRACE_UPSTREAM_REFUSED' = 'MILLRACE_UPSTREAM_RESET',
  ): this {
    const details = { upstream: this.upstream, reason: 'made up' };
    // A reset does not wait for a paused reader.
    this.#backlog = [];
    this.#do(() => {
      this.over = true;
      this.#handler.fail(new MillraceError(code, details));
    });
    return this;
  }

  #last(call: () => void): this {
    const give = () => {
      this.over = true;
      call();
    };
    if (this.paused || this.#backlog.length > 0) this.#backlog.push(() => this.#do(give));
    else this.#do(give);
    return this;
  }

  #do(call: () => void): this {
    if (!this.cancelled && !this.over) call();
    return this;
  }
}

const chunk = (choice: object) =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }] })}\n\n`;

export class FakeTransport implements Transport {
  readonly exchanges: FakeExchange[] = [];
  closed = false;
  /** Sees each exchange as it opens; it may not call the handler yet. */
  onOpen: (exchange: FakeExchange) => void = () => {};

  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange {
    assert.equal(typeof request.body, 'string');
    const exchange = new FakeExchange(upstream, request, handler);
    this.exchanges.push(exchange);
    this.onOpen(exchange);
    return exchange;
  }

  /** What it was told to keep, by origin. */
  readonly kept = new Map<string, number>();
  readonly idleSockets = new Map<string, number>();

  keep({ origin }: UpstreamAddress, sockets: number): void {
    this.kept.set(origin, sockets);
  }

  idle({ origin }: UpstreamAddress): number {
    return this.idleSockets.get(origin) ?? 0;
  }

  shed({ origin }: UpstreamAddress, sockets: number): void {
    this.idleSockets.set(origin, (this.idleSockets.get(origin) ?? 0) - sockets);
  }

  get sockets(): number {
    return this.exchanges.filter((exchange) => exchange.live).length;
  }

  /** The exchange opened last. */
  get last(): FakeExchange {
    const last = this.exchanges.at(-1);
    assert.ok(last, 'no exchange was opened');
    return last;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
