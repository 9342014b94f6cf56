/**
 * Where an answer goes over a WebSocket: each line of its script is one text. What HTTP says by its status is an `error` event here; a body that ends too early is a close frame.
 */
import type { Faults } from '../faults.ts';
import type { Headers, Sink } from '../sink.ts';
import type { Line } from './line.ts';

/** Unread bytes from which on an answer waits. */
const UNREAD_BYTES_MAX = 256 * 1024;

export class EventSink implements Sink {
  readonly #line: Line;
  readonly #faults: Faults;
  #status = 200;
  #headers: Headers = {};
  #isFailed = false;
  #gone: (() => void)[] = [];
  readonly #forget: () => void;

  constructor(line: Line, faults: Faults) {
    this.#line = line;
    this.#faults = faults;
    this.#forget = line.onGone(() => this.#leave());
  }

  head(status: number, headers: Headers): void {
    this.#status = status;
    this.#headers = headers;
  }

  write(bytes: string | Uint8Array): boolean {
    if (this.#status !== 200) this.#refuse(bytes);
    else for (const text of linesOf(Buffer.from(bytes as string))) this.#say(text);
    return this.#line.unread < UNREAD_BYTES_MAX;
  }

  /** The answer is over; the socket is not. */
  end(): void {
    this.#leave();
  }

  /** An error event was the last word; otherwise nobody says another one. */
  short(): void {
    if (!this.#isFailed) this.#line.close(this.#faults['close-code'] ?? 1000);
    this.#leave();
  }

  cut(): void {
    this.#line.cut();
  }

  reset(): void {
    this.#line.reset();
  }

  onDrained(drained: () => void): void {
    this.#line.onDrained(drained);
  }

  onGone(gone: () => void): void {
    this.#gone.push(gone);
  }

  #say(text: Uint8Array): void {
    this.#isFailed = Buffer.from(text.subarray(0, 16)).toString() === '{"type":"error",';
    this.#line.say(text, false, this.#faults.split);
  }

  /** The shape in which OpenAI's socket refuses a request; it stays open. */
  #refuse(body: string | Uint8Array): void {
    const headers = Object.fromEntries(
      Object.entries(this.#headers).filter(([name]) => name.startsWith('retry-after')),
    );
    const error = { ...errorOf(String(body)), ...(Object.keys(headers).length > 0 && { headers }) };
    this.#say(Buffer.from(JSON.stringify({ type: 'error', status: this.#status, error })));
  }

  #leave(): void {
    this.#forget();
    for (const gone of this.#gone.splice(0)) gone();
  }
}

function errorOf(body: string): object {
  try {
    return (JSON.parse(body) as { error: object }).error;
  } catch {
    return { type: 'server_error', code: null, message: body, param: null };
  }
}

function linesOf(bytes: Buffer): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    lines.push(bytes.subarray(from, end < 0 ? bytes.length : end));
    from = end < 0 ? bytes.length : end + 1;
  }
  return lines;
}
