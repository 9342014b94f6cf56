/**
 * Ids for an application's tracer provider: an upstream is told its span's id when the request leaves, long before the span is made.
 * A provider that generates its ids here gives the span the id that was told.
 */
import { randomBytes } from 'node:crypto';

/** An `IdGenerator` of OpenTelemetry's SDK: `new BasicTracerProvider({ idGenerator: ids })`. */
export class SpanIds {
  #span: string | undefined;
  #trace: string | undefined;

  readonly generateTraceId = (): string => this.#trace ?? randomBytes(16).toString('hex');
  readonly generateSpanId = (): string => this.#span ?? randomBytes(8).toString('hex');

  /** For the span that is started next, in this very turn. */
  next(span: string, trace: string | undefined): void {
    this.#span = span;
    this.#trace = trace;
  }

  forget(): void {
    this.#span = this.#trace = undefined;
  }
}
