/** What a stream said, in a form that does not depend on how it was cut into reads and deltas. */
import { MillraceError } from '../../src/errors.ts';
import type { DeltaKind, EventSink, FinishReason, Usage } from '../../src/protocol/events.ts';

export type Step =
  | { readonly text: string; readonly kind: DeltaKind; readonly part: number }
  | { readonly tool: number; readonly id: string; readonly name: string };

export interface Trace {
  readonly steps: readonly Step[];
  readonly usage: Usage | undefined;
  /** A finish reason or the code of the failure; undefined while neither came. */
  readonly end: string | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Collects a trace and holds the sink's contract: ranges inside their bytes and never empty, whole escapes, whole code points,
 * bytes unchanged until the flush, one end, nothing after it.
 */
export class TraceSink implements EventSink {
  readonly steps: Step[] = [];
  lastUsage: Usage | undefined;
  end: string | undefined;
  error: MillraceError | undefined;
  deltas = 0;
  flushes = 0;
  readonly #borrowed: { bytes: Uint8Array; start: number; copy: Buffer }[] = [];

  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    this.#running();
    if (!(start >= 0 && end > start && end <= bytes.length)) throw new Error('a range of nothing');
    const copy = Buffer.from(bytes.subarray(start, end));
    const body = strict.decode(copy);
    const text = JSON.parse(`"${body}"`) as string;
    if (/\p{Surrogate}/u.test(text)) throw new Error('half a surrogate pair');
    this.deltas++;
    this.#borrowed.push({ bytes, start, copy });
    const last = this.steps.at(-1);
    if (last !== undefined && 'text' in last && last.kind === kind && last.part === part)
      this.steps[this.steps.length - 1] = { text: last.text + text, kind, part };
    else this.steps.push({ text, kind, part });
  }

  tool(index: number, id: string, name: string): void {
    this.#running();
    this.steps.push({ tool: index, id, name });
  }

  usage(usage: Usage): void {
    this.#running();
    this.lastUsage = usage;
  }

  flush(): void {
    this.#running();
    this.flushes++;
    for (const { bytes, start, copy } of this.#borrowed)
      if (!copy.equals(bytes.subarray(start, start + copy.length)))
        throw new Error('borrowed bytes changed before the flush');
    this.#borrowed.length = 0;
  }

  finish(reason: FinishReason): void {
    this.#running();
    if (this.#borrowed.length > 0) throw new Error('an end before the flush');
    this.end = reason;
  }

  fail(error: MillraceError): void {
    this.#running();
    if (!(error instanceof MillraceError)) throw new Error('a failure that is none of ours');
    if (this.#borrowed.length > 0) throw new Error('an end before the flush');
    this.end = error.code;
    this.error = error;
  }

  get trace(): Trace {
    return { steps: this.steps, usage: this.lastUsage, end: this.end };
  }

  #running(): void {
    if (this.end !== undefined) throw new Error('something after the end');
  }
}
