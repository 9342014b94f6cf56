/**
 * A response as Server-Sent Events: the events of the WebSocket mode, from its encoder. The openers wait for the first content, because with
 * them goes the status: until then a failure is an HTTP status of its own.
 */
import { MillraceError } from '../../../errors.ts';
import { type DialectBounds, type Encoder, FrameFlag, type FrameSink } from '../../dialect.ts';
import type { DeltaKind, FinishReason, Usage } from '../../events.ts';
import { errorAnswer } from '../http/error-answer.ts';
import { EventStream, ping } from '../http/event-stream.ts';
import { ResponsesEncoder } from '../responses/encoder.ts';
import type { ResponseFacts } from '../responses/response-object.ts';

const FAILED = 'event: response.failed\ndata: ';

export class StreamedResponse implements Encoder {
  readonly #out: FrameSink;
  readonly #events: EventStream;
  readonly #inner: ResponsesEncoder;

  constructor(facts: ResponseFacts, bounds: DialectBounds, out: FrameSink) {
    this.#out = out;
    this.#events = new EventStream(out, facts.id);
    const forgets = { remember() {}, failed() {} };
    this.#inner = new ResponsesEncoder(facts, bounds, this.#events, forgets);
  }

  get sequence(): number {
    return this.#inner.sequence;
  }

  get committed(): boolean {
    return this.#inner.committed;
  }

  from(upstream: string, attempt?: number, continued?: boolean): void {
    this.#inner.from(upstream, attempt, continued);
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#events.begun) this.#inner.open();
    this.#inner.delta(kind, call, bytes, start, end);
  }

  tool(index: number, id: string, name: string): void {
    if (!this.#events.begun) this.#inner.open();
    this.#inner.tool(index, id, name);
  }

  usage(usage: Usage): void {
    this.#inner.usage(usage);
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    if (!this.#events.begun) this.#inner.open();
    this.#inner.finish(reason);
  }

  fail(error: MillraceError): void {
    if (this.#events.begun) this.#inner.fail(error);
    else this.#events.answer(errorAnswer(error), FrameFlag.terminal);
  }

  cancel(): void {
    if (this.#events.begun) this.#inner.cancel();
    else this.fail(new MillraceError('MILLRACE_CANCELLED', {}));
  }

  alive(): void {
    if (this.#events.begun) ping(this.#out, this.#inner.sequence);
    else this.#inner.open();
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    const { bytes, at } = this.#inner.epitaph(error);
    const event = Buffer.concat([Buffer.from(FAILED), bytes, Buffer.from('\n\n')]);
    return { bytes: event, at: at < 0 ? at : at + FAILED.length };
  }
}
