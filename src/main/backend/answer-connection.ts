/**
 * One HTTP answer in pieces, as a Connection: the half that both backends share. What the client does not take waits here, in order.
 *
 *     head, first piece ─▶ piece, piece, … ─▶ end            close(1000)
 *          │                  └──────────────▶ cut           any other close, terminate, the client left
 *          └─ close before it: a status says why
 */
import { decodeHead } from '../../protocol/answer-head.ts';
import { close as closeCode } from '../../protocol/close.ts';
import type { BackendHandlers, Connection, SendStatus, StreamVerdict } from './backend.ts';
import { CLOSE_WAIT_MS } from './patience.ts';

/** Where the bytes go: one backend's response. After `end` and `cut` nothing is called any more. */
export interface Outlet {
  /** Pieces are at most this long. */
  readonly pieceBytes: number;
  /**
   * The head and the first piece; then pieces. False: the peer reads slowly, `drained` of the connection will be called. The outlet owns no piece after it
   * returns; one may lie in shared memory.
   */
  begin(status: number, headers: Readonly<Record<string, string>>, piece: Uint8Array): boolean;
  write(piece: Uint8Array): boolean;
  /** Bytes of pieces that wait below us. */
  waiting(): number;
  end(): void;
  cut(): void;
}

export class AnswerConnection implements Connection {
  user: unknown;
  readonly #outlet: Outlet;
  readonly #handlers: BackendHandlers;
  readonly #headers: Readonly<Record<string, string>>;
  #open = true;
  #told = false;
  #begun = false;
  /** The outlet said stop. */
  #blocked = false;
  #corked: Buffer[] | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** Set while an end waits behind unread bytes. */
  #ending: NodeJS.Timeout | undefined;

  constructor(
    outlet: Outlet,
    verdict: Extract<StreamVerdict, { accept: true }>,
    handlers: BackendHandlers,
  ) {
    this.#outlet = outlet;
    this.#handlers = handlers;
    this.#headers = verdict.headers;
    this.user = verdict.user;
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Uint8Array, _binary: boolean): SendStatus {
    if (!this.#open) return 'closed';
    if (!this.#begun) this.#begin(Buffer.from(bytes));
    else if (this.#corked) this.#corked.push(Buffer.from(bytes));
    else this.#put(bytes);
    return this.buffered() > 0 ? 'buffered' : 'sent';
  }

  buffered(): number {
    return this.#told ? 0 : this.#queued + this.#outlet.waiting();
  }

  /** Joins what is sent into one piece: one chunk, one system call. */
  cork(write: () => void): void {
    if (!this.#open || this.#corked) return write();
    this.#corked = [];
    try {
      write();
    } finally {
      const joined = this.#corked;
      this.#corked = undefined;
      if (this.#open && joined.length > 0) this.#put(Buffer.concat(joined));
    }
  }

  /** HTTP has none; whoever makes the answer fills its silence. */
  ping(): void {}

  close(code: number, reason: string): void {
    if (!this.#open) return;
    if (this.#corked && this.#corked.length > 0) this.#put(Buffer.concat(this.#corked.splice(0)));
    this.#open = false;
    if (!this.#begun) this.#refuse(code, reason);
    else if (code !== closeCode.normal) this.#outlet.cut();
    else if (this.#queued > 0) {
      this.#ending = setTimeout(() => this.terminate(), CLOSE_WAIT_MS);
      return;
    } else this.#outlet.end();
    queueMicrotask(() => this.#tell(code, reason));
  }

  terminate(): void {
    if (this.#told) return;
    this.#open = false;
    this.#queue = [];
    this.#queued = 0;
    this.#outlet.cut();
    queueMicrotask(() => this.#tell(1006, ''));
  }

  // From here on: what the backend tells.

  opened(): void {
    this.#guard('open', () => this.#handlers.open(this));
  }

  received(body: Uint8Array): void {
    if (this.#open) this.#guard('message', () => this.#handlers.message(this, body, false));
  }

  /** The peer took bytes. False: it shall say so again. */
  drained(): boolean {
    this.#blocked = false;
    this.#feed();
    if (this.#open) this.#guard('drain', () => this.#handlers.drain(this));
    else if (this.#ending && this.#queued === 0) {
      this.#outlet.end();
      this.#tell(closeCode.normal, '');
    } else this.#ending?.refresh();
    return !this.#blocked;
  }

  /** Tries again, though the peer took nothing: some backends need to see that. */
  nudge(): void {
    this.#blocked = false;
    this.#feed();
  }

  /** The client left. */
  gone(): void {
    this.#open = false;
    this.#tell(1006, '');
  }

  #begin(bytes: Buffer): void {
    const { head, body } = decodeHead(bytes);
    this.#begun = true;
    const first = body.subarray(0, this.#outlet.pieceBytes);
    const headers = { ...head.headers, ...this.#headers };
    this.#blocked = !this.#outlet.begin(head.status, headers, first);
    if (first.length < body.length) this.#put(body.subarray(first.length));
  }

  #put(bytes: Uint8Array): void {
    const { pieceBytes } = this.#outlet;
    let at = 0;
    while (!this.#blocked && at < bytes.length) {
      const piece = bytes.subarray(at, at + pieceBytes);
      at += piece.length;
      this.#blocked = !this.#outlet.write(piece);
    }
    if (at === bytes.length) return;
    this.#queued += bytes.length - at;
    // Not `slice()`: of a Buffer that is a view.
    this.#queue.push(new Uint8Array(bytes.subarray(at)));
  }

  #feed(): void {
    while (!this.#blocked && this.#queue.length > 0) {
      const head = this.#queue[0];
      const piece = head.subarray(0, this.#outlet.pieceBytes);
      if (piece.length === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(piece.length);
      this.#queued -= piece.length;
      this.#blocked = !this.#outlet.write(piece);
    }
  }

  /** Closed before anything was said: the reason becomes a status, in the shape that OpenAI's clients read. */
  #refuse(code: number, reason: string): void {
    const [status, type, word] = statuses[code] ?? [500, 'server_error', 'internal'];
    const error = { message: reason || 'the request could not be answered', type, code: word };
    const body = Buffer.from(JSON.stringify({ error: { ...error, param: null } }));
    const retry = status === 503 ? { 'retry-after': '1' } : {};
    const headers = { 'content-type': 'application/json', ...retry, ...this.#headers };
    this.#begun = true;
    this.#outlet.begin(status, headers, body.subarray(0, this.#outlet.pieceBytes));
    this.#outlet.end();
  }

  #tell(code: number, reason: string): void {
    if (this.#told) return;
    this.#told = true;
    clearTimeout(this.#ending);
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
      this.close(closeCode.internal, 'internal error');
    }
  }
}

const bad = 'invalid_request_error';
const statuses: Readonly<Record<number, readonly [number, string, string] | undefined>> = {
  [closeCode.unsupported]: [400, bad, 'unsupported_message'],
  [closeCode.policy]: [403, bad, 'policy'],
  [closeCode.tooLarge]: [413, bad, 'payload_too_large'],
  [closeCode.restart]: [503, 'server_error', 'draining'],
  [closeCode.later]: [503, 'server_error', 'server_is_overloaded'],
};
