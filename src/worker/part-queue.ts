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
import { PartPipe } from '../protocol/part-pipe.ts';
import type { StreamPart } from '../protocol/route.ts';
import type { Address } from './outbox.ts';
import type { Outlet } from './tap.ts';

/** Bytes of text that wait before the upstream is paused; what one read of the socket brings comes on top. */
const WAITING_BYTES_MAX = 64 * 1024;
const BACKSLASH = 0x5c;

export class PartQueue implements Encoder, Outlet {
  readonly address: Address;
  readonly ledger: Ledger;
  readonly ended = false;
  readonly drained = true;
  readonly pipe = new PartPipe(() => this.#pulled());
  #said = 0;
  #full = false;
  #upstream = '';
  #sequence = 0;
  #resumed: (() => void) | undefined;

  constructor(address: Address, ledger: Ledger) {
    this.address = address;
    this.ledger = ledger;
  }

  // Outlet

  get frames(): number {
    return this.#sequence;
  }
  get bytes(): number {
    return this.#said;
  }
  clear(): boolean {
    this.#full = this.pipe.bytes >= WAITING_BYTES_MAX;
    return !this.#full;
  }
  onResumed(resumed: () => void): void {
    this.#resumed = resumed;
  }
  settle(): void {
    this.pipe.close();
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
    this.pipe.close();
  }
  fail(error: MillraceError): void {
    this.pipe.close(error);
  }
  cancel(): void {
    this.pipe.close();
  }
  epitaph(): { bytes: Uint8Array; at: number } {
    return { bytes: new Uint8Array(0), at: -1 };
  }

  #put(part: StreamPart, length: number): void {
    if (this.pipe.over) return;
    this.#sequence++;
    this.#said += length;
    this.pipe.put(part, length);
  }

  #pulled(): void {
    if (!this.#full || this.pipe.bytes > WAITING_BYTES_MAX / 2) return;
    this.#full = false;
    this.#resumed?.();
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
  const body = Buffer.from(bytes.subarray(start, end));
  const text = body.toString();
  return body.includes(BACKSLASH) ? (JSON.parse(`"${text}"`) as string) : text;
}
