/** Hears the text of an answer on its way to the encoder, up to a bound: only where somebody wants to be told it. */
import type { MillraceError } from '../errors.ts';
import type { Encoder } from '../protocol/dialect.ts';
import { EscapedText } from '../protocol/dialects/escaped-text.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../protocol/events.ts';

export class TextListener implements Encoder {
  readonly #next: Encoder;
  readonly #bytesMax: number;
  readonly #text = new EscapedText();
  #finish: FinishReason | undefined;
  #cut = false;

  constructor(next: Encoder, bytesMax: number) {
    this.#next = next;
    this.#bytesMax = bytesMax;
  }

  /** Decoded. */
  get text(): string {
    return this.#text.decode();
  }
  /** Some of it did not fit: whole deltas from the first that did not. */
  get cut(): boolean {
    return this.#cut;
  }
  get finishReason(): FinishReason | undefined {
    return this.#finish;
  }
  get sequence(): number {
    return this.#next.sequence;
  }
  get committed(): boolean {
    return this.#next.committed;
  }

  from(upstream: string, attempt?: number, continued?: boolean): void {
    this.#next.from(upstream, attempt, continued);
  }
  delta(kind: DeltaKind, part: number, bytes: Uint8Array, start: number, end: number): void {
    if (kind === Delta.text && !this.#cut) {
      this.#cut = this.#text.length + end - start > this.#bytesMax;
      if (!this.#cut) this.#text.append(bytes, start, end);
    }
    this.#next.delta(kind, part, bytes, start, end);
  }
  tool(index: number, id: string, name: string): void {
    this.#next.tool(index, id, name);
  }
  usage(usage: Usage): void {
    this.#next.usage(usage);
  }
  flush(): void {
    this.#next.flush();
  }
  finish(reason: FinishReason): void {
    this.#finish = reason;
    this.#next.finish(reason);
  }
  fail(error: MillraceError): void {
    this.#next.fail(error);
  }
  cancel(): void {
    this.#next.cancel();
  }
  epitaph(error: MillraceError): ReturnType<Encoder['epitaph']> {
    return this.#next.epitaph(error);
  }
}
