/** Answers in pieces over uWebSockets.js: a request on its way in, and its response as an outlet. */
import { STATUS_CODES } from 'node:http';
import { MillraceError } from '../../errors.ts';
import { close as closeCode } from '../../protocol/close.ts';
import { AnswerConnection, type Outlet } from './answer-connection.ts';
import type { BackendHandlers, RequestHead, StreamVerdict } from './backend.ts';
import { RequestBody } from './request-body.ts';
import { type Exchange, framing } from './uws-exchange.ts';

/** A request whose answer comes in pieces: its body and its verdict may come in either order. */
export class UwsArrival {
  readonly #exchange: Exchange;
  readonly #handlers: BackendHandlers;
  readonly #declared: number;
  readonly #body: RequestBody;
  #bytesMax: number;
  #connection: AnswerConnection | undefined;
  #whole = false;

  /** `bytesMax` holds until the verdict names its own. */
  constructor(exchange: Exchange, head: RequestHead, bytesMax: number, handlers: BackendHandlers) {
    this.#exchange = exchange;
    this.#handlers = handlers;
    this.#declared = Number(head.header('content-length') ?? 0);
    this.#body = new RequestBody(bytesMax);
    this.#bytesMax = bytesMax;
  }

  accept(verdict: Extract<StreamVerdict, { accept: true }>): void {
    const exchange = this.#exchange;
    if (exchange.done) return;
    exchange.done = true;
    this.#bytesMax = Math.min(this.#bytesMax, verdict.bodyBytesMax);
    const outlet = new UwsOutlet(exchange);
    const connection = new AnswerConnection(outlet, verdict, this.#handlers);
    this.#connection = connection;
    exchange.onGone = () => connection.gone();
    outlet.nudge = () => connection.nudge();
    exchange.res.onWritable(() => {
      outlet.flush();
      return connection.drained();
    });
    connection.opened();
    if (Math.max(this.#declared, this.#body.bytes) > this.#bytesMax) this.#refuse();
    else if (this.#whole) connection.received(this.#body.whole());
  }

  data(chunk: Uint8Array, last: boolean): void {
    if (this.#exchange.gone || this.#connection?.open === false) return;
    if (!this.#body.add(chunk) || this.#body.bytes > this.#bytesMax) return this.#refuse();
    this.#whole = last;
    if (last) this.#connection?.received(this.#body.whole());
  }

  #refuse(): void {
    this.#exchange.last = true;
    const { message } = new MillraceError('MILLRACE_MESSAGE_TOO_LARGE', { max: this.#bytesMax });
    this.#connection?.close(closeCode.tooLarge, message);
  }
}

const NOTHING = new Uint8Array(0);
const PATIENCE_MS = 3_000;

/**
 * The core keeps what the kernel does not take, and writes it when it writes again: an empty cork makes it do so. Pieces stay below its cork buffer of 16 KiB, head
 * and chunk framing included, and each has a cork of its own: cores before 20.77 lose a larger one.
 */
class UwsOutlet implements Outlet {
  readonly pieceBytes = 14 * 1024;
  readonly #exchange: Exchange;
  #waiting = 0;
  /** Writes on, until a piece waits again. */
  nudge: () => void = () => {};
  /** While the peer does not read. */
  #patience: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  begin(status: number, headers: Readonly<Record<string, string>>, piece: Uint8Array): boolean {
    const { res, last, gone } = this.#exchange;
    if (gone) return true;
    let taken = true;
    res.cork(() => {
      res.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Status'}`);
      for (const [name, value] of Object.entries(headers))
        if (!framing.has(name.toLowerCase())) res.writeHeader(name, value);
      if (last) res.writeHeader('Connection', 'close');
      taken = res.write(piece);
    });
    return this.#took(piece, taken);
  }

  write(piece: Uint8Array): boolean {
    const { res, gone } = this.#exchange;
    if (gone) return true;
    let taken = true;
    res.cork(() => {
      taken = res.write(piece);
    });
    return this.#took(piece, taken);
  }

  waiting(): number {
    return this.#waiting;
  }

  /** The socket is writable: lets the core write what it kept. */
  flush(): void {
    this.#took(NOTHING, true);
    if (!this.#exchange.gone) this.#exchange.res.cork(() => {});
  }

  /** Told to close by flag, the core would write a header into the body: the one in the head must do. */
  end(): void {
    const { res, gone } = this.#exchange;
    clearInterval(this.#patience);
    if (gone) return;
    this.#exchange.gone = true;
    res.cork(() => res.end());
  }

  cut(): void {
    clearInterval(this.#patience);
    if (this.#exchange.gone) return;
    this.#exchange.gone = true;
    this.#exchange.onGone = () => {};
    this.#exchange.res.close();
  }

  #took(piece: Uint8Array, taken: boolean): boolean {
    this.#waiting = taken ? 0 : piece.length;
    if (!taken) this.#patience ??= setInterval(() => this.#bear(), PATIENCE_MS);
    else if (this.#patience) {
      clearInterval(this.#patience);
      this.#patience = undefined;
    }
    return taken;
  }

  /** The core drops a peer 10 s after a write that it could not take; another such write starts that anew. How long is too long, the session decides. */
  #bear(): void {
    if (this.#exchange.gone) clearInterval(this.#patience);
    else this.nudge();
  }
}
