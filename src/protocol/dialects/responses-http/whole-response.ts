/**
 * A response as one object: what the terminal event of the WebSocket mode holds. Nothing goes out before the end, so every failure is an
 * HTTP status; content still commits, as in a stream: a second upstream would not begin where the first one stopped.
 */
import { MillraceError } from '../../../errors.ts';
import { type DialectBounds, type Encoder, FrameFlag, type FrameSink } from '../../dialect.ts';
import type { DeltaKind, FinishReason, Usage } from '../../events.ts';
import { errorAnswer } from '../http/error-answer.ts';
import { objectHead } from '../http/event-stream.ts';
import { ResponsesEncoder } from '../responses/encoder.ts';
import type { ResponseFacts } from '../responses/response-object.ts';

const OBJECT = Buffer.from('"response":');

export class WholeResponse implements Encoder {
  readonly #out: FrameSink;
  readonly #id: string;
  readonly #inner: ResponsesEncoder;
  #said = false;

  constructor(facts: ResponseFacts, bounds: DialectBounds, out: FrameSink) {
    this.#out = out;
    this.#id = facts.id;
    const sink = {
      frame: (bytes: Uint8Array, length: number, flags: number) => {
        if (flags & FrameFlag.terminal) this.#ended(bytes, length);
      },
    };
    this.#inner = new ResponsesEncoder(facts, bounds, sink, {
      remember() {},
      failed: (error) => this.#say(errorAnswer(error), FrameFlag.terminal),
    });
  }

  get sequence(): number {
    return this.#said ? 1 : 0;
  }

  get committed(): boolean {
    return this.#inner.committed;
  }

  from(upstream: string, attempt?: number, continued?: boolean): void {
    this.#inner.from(upstream, attempt, continued);
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    this.#inner.delta(kind, call, bytes, start, end);
  }

  tool(index: number, id: string, name: string): void {
    this.#inner.tool(index, id, name);
  }

  usage(usage: Usage): void {
    this.#inner.usage(usage);
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    this.#inner.finish(reason);
  }

  fail(error: MillraceError): void {
    this.#say(errorAnswer(error), FrameFlag.terminal);
  }

  cancel(): void {
    this.fail(new MillraceError('MILLRACE_CANCELLED', {}));
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    return { bytes: errorAnswer(error), at: -1 };
  }

  /** `{"type":…,"sequence_number":…,"response":{ … }}`: what stands between the name and the last brace. A failure is told by the encoder's end. */
  #ended(bytes: Uint8Array, length: number): void {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    if (frame.toString('latin1', 0, FAILED.length) === FAILED) return;
    const object = frame.subarray(frame.indexOf(OBJECT) + OBJECT.length, length - 1);
    const whole = Buffer.concat([objectHead(this.#id), object]);
    this.#say(whole, FrameFlag.commit | FrameFlag.terminal);
  }

  #say(bytes: Uint8Array, flags: number): void {
    if (this.#said) return;
    this.#said = true;
    this.#out.frame(bytes, bytes.byteLength, flags, 0);
  }
}

const FAILED = '{"type":"response.failed"';
