/** Counts what an answer uses of its budget, on its way to the encoder. When it is used up nothing more passes, and the answer ends as one that reached its length. */
import type { MillraceError } from '../errors.ts';
import type { Reservation } from '../policy/limit/reservation.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { DeltaKind, FinishReason, Usage } from '../protocol/events.ts';

export interface MeterParts {
  readonly reservation: Reservation;
  readonly bytesPerToken: number;
  /** Does a used-up budget end the answer? */
  readonly ends: boolean;
  /** It is used up. Called once, in the middle of what an upstream has said. */
  exceeded(): void;
}

export class MeteredEncoder implements Encoder {
  readonly #next: Encoder;
  readonly #parts: MeterParts;
  #isOver = false;
  #ended = false;

  constructor(next: Encoder, parts: MeterParts) {
    this.#next = next;
    this.#parts = parts;
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
    if (this.#isOver) return;
    this.#next.delta(kind, part, bytes, start, end);
    const { reservation, bytesPerToken } = this.#parts;
    if (!reservation.spend((end - start) / bytesPerToken)) this.#over();
  }
  tool(index: number, id: string, name: string): void {
    if (!this.#isOver) this.#next.tool(index, id, name);
  }
  usage(usage: Usage): void {
    this.#next.usage(usage);
    if (!this.#isOver && !this.#parts.reservation.report(usage.outputTokens)) this.#over();
  }
  flush(): void {
    this.#next.flush();
  }
  finish(reason: FinishReason): void {
    this.#ended = true;
    this.#next.finish(this.#isOver ? 'length' : reason);
  }
  fail(error: MillraceError): void {
    this.#ended = true;
    if (this.#isOver) this.#next.finish('length');
    else this.#next.fail(error);
  }
  cancel(): void {
    if (this.#isOver && !this.#ended) this.#next.finish('length');
    else this.#next.cancel();
    this.#ended = true;
  }
  epitaph(error: MillraceError): ReturnType<Encoder['epitaph']> {
    return this.#next.epitaph(error);
  }

  #over(): void {
    if (!this.#parts.ends || this.#ended) return;
    this.#isOver = true;
    this.#parts.exceeded();
  }
}
