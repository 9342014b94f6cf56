/**
 * The end of a stream that code of the user's pulls: events become decoded parts in a bounded queue. It stands where a dialect's
 * encoder and a session's tap stand otherwise, so that attempts, failover, clocks and back-pressure are the same.
 *
 *   Attempt ─▶ PartQueue (encoder) ─▶ parts ─▶ next()
 *      ▲            └─ full: clear() says no, the upstream is paused
 *      └─ resumed, when half of it was pulled
 */
import type { MillraceError } from '../errors.ts';
import type { Ledger } from '../memory/contract.ts';
import type { Encoder } from '../protocol/dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../protocol/events.ts';
import type { StreamPart } from '../protocol/route.ts';
import type { Address } from './outbox.ts';
import type { Outlet } from './tap.ts';

/** Bytes of text that wait before the upstream is paused; what one read of the socket brings comes on top. */
const WAITING_BYTES_MAX = 64 * 1024;
/** Counted for every part beside its text. */
const PART_BYTES = 32;
const BACKSLASH = 0x5c;

interface Taker {
  give(result: IteratorResult<StreamPart>): void;
  fail(error: unknown): void;
}

const OVER = { done: true, value: undefined } as const;

export class PartQueue implements Encoder, Outlet {
  readonly address: Address;
  readonly ledger: Ledger;
  readonly ended = false;
  readonly drained = true;
  readonly #parts: { readonly part: StreamPart; readonly bytes: number }[] = [];
  readonly #takers: Taker[] = [];
  /** Bytes that wait, and all that were said. */
  #bytes = 0;
  #said = 0;
  #full = false;
  #over = false;
  #error: unknown;
  #upstream = '';
  #sequence = 0;
  #resumed: (() => void) | undefined;

  constructor(address: Address, ledger: Ledger) {
    this.address = address;
    this.ledger = ledger;
  }

  /** Nothing comes any more; what waits may still be pulled. */
  get over(): boolean {
    return this.#over;
  }

  /** The next part; at the end `done`, or once the failure. */
  next(): Promise<IteratorResult<StreamPart>> {
    const head = this.#parts.shift();
    if (head !== undefined) {
      this.#bytes -= head.bytes;
      if (this.#full && this.#bytes <= WAITING_BYTES_MAX / 2) {
        this.#full = false;
        this.#resumed?.();
      }
      return Promise.resolve({ done: false, value: head.part });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what an AbortSignal gives as its reason is passed on
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve(OVER);
    return new Promise((give, fail) => this.#takers.push({ give, fail }));
  }

  /** The end, as the reader sees it: nothing that waits is pulled any more. */
  stop(error?: unknown): void {
    this.#parts.length = 0;
    this.#bytes = 0;
    this.#close(error);
  }

  // Outlet

  get frames(): number {
    return this.#sequence;
  }
  get bytes(): number {
    return this.#said;
  }
  clear(): boolean {
    this.#full = this.#bytes >= WAITING_BYTES_MAX;
    return !this.#full;
  }
  onResumed(resumed: () => void): void {
    this.#resumed = resumed;
  }
  settle(): void {
    this.#close(undefined);
  }

  // Encoder

  get sequence(): number {
    return this.#sequence;
  }
  get committed(): boolean {
    return this.#sequence > 0;
  }
  from(upstream: string): void {
    this.#upstream = upstream;
  }

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    const text = unescaped(bytes, start, end);
    this.#put(partOf(kind, part, text), end - start);
  }
  tool(index: number, id: string, name: string): void {
    this.#put({ type: 'tool', index, id, name }, id.length + name.length);
  }
  usage(usage: Usage): void {
    this.#put({ type: 'usage', ...usage }, 0);
  }
  flush(): void {}
  finish(reason: FinishReason): void {
    this.#put({ type: 'finish', reason, upstream: this.#upstream }, 0);
    this.#close(undefined);
  }
  fail(error: MillraceError): void {
    this.#close(error);
  }
  cancel(): void {
    this.#close(undefined);
  }
  epitaph(): { bytes: Uint8Array; at: number } {
    return { bytes: new Uint8Array(0), at: -1 };
  }

  #put(part: StreamPart, length: number): void {
    if (this.#over) return;
    this.#sequence++;
    this.#said += length;
    const taker = this.#takers.shift();
    if (taker) return taker.give({ done: false, value: part });
    const bytes = length + PART_BYTES;
    this.#bytes += bytes;
    this.#parts.push({ part, bytes });
  }

  #close(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    for (const taker of this.#takers.splice(0)) {
      if (this.#error === undefined) taker.give(OVER);
      else {
        this.#error = undefined;
        taker.fail(error);
      }
    }
  }
}

function partOf(kind: DeltaKind, index: number, text: string): StreamPart {
  if (kind === Delta.arguments) return { type: 'arguments', index, text };
  return { type: words[kind], text };
}

const words = {
  [Delta.text]: 'text',
  [Delta.reasoning]: 'reasoning',
  [Delta.refusal]: 'refusal',
} as const;

/** The text of an escaped body; most have no escape in them. */
function unescaped(bytes: Uint8Array, start: number, end: number): string {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const text = body.toString();
  return body.includes(BACKSLASH) ? (JSON.parse(`"${text}"`) as string) : text;
}
