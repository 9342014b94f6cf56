/**
 * The guide's chat, one answer: `{"content":"…","done":false}` for every delta, then one frame with `done: true`. Whatever the
 * guide does not know (reasoning, tools, refusals) comes beside an empty `content`, so that a client which only appends
 * `content` shows the answer and nothing else.
 */
import { MillraceError } from '../../../errors.ts';
import {
  type DialectBounds,
  type Encoder,
  FrameFlag,
  type FrameSink,
  type Turn,
} from '../../dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../../events.ts';
import { DeltaFrame } from '../delta-frame.ts';
import { EscapedText } from '../escaped-text.ts';
import { errorJson } from './error-frame.ts';

export interface ChatEnd {
  readonly id: string;
  readonly model: string;
  /** See Turn. */
  readonly headers: Turn['headers'];
  /** What was answered, escaped as it came; called for finished and cancelled answers. */
  remember(answer: EscapedText): void;
}

export class ChatEncoder implements Encoder {
  readonly #out: FrameSink;
  readonly #bounds: DialectBounds;
  readonly #end: ChatEnd;
  readonly #text = new EscapedText();
  /** The frame of the last delta's kind (and call). */
  #frame: DeltaFrame | undefined;
  #kind: DeltaKind = Delta.text;
  #call = 0;
  #usage: Usage | undefined;
  #upstream: string | undefined;
  #continued = false;
  #sequence = 0;
  #ended = false;
  #deltas = 0;
  #bytes = 0;

  constructor(bounds: DialectBounds, out: FrameSink, end: ChatEnd) {
    this.#bounds = bounds;
    this.#out = out;
    this.#end = end;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** There are no openers: the first frame of content commits. */
  get committed(): boolean {
    return this.#sequence > 0;
  }

  from(upstream: string, _attempt?: number, continued = false): void {
    this.#upstream = upstream;
    this.#continued = continued;
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended || !this.#spend(end - start)) return;
    const frame = this.#frameFor(kind, call);
    const length = frame.fill(0, bytes, start, end);
    if (kind === Delta.text || kind === Delta.refusal) this.#text.append(bytes, start, end);
    this.#deltas++;
    this.#send(frame.bytes, length);
  }

  tool(index: number, id: string, name: string): void {
    if (this.#ended || !this.#spend(Buffer.byteLength(id) + Buffer.byteLength(name))) return;
    this.#say({ content: '', tool: { index, id, name }, done: false }, 0);
  }

  usage(usage: Usage): void {
    this.#usage = usage;
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    this.#close(reason);
  }

  cancel(): void {
    this.#close('cancelled');
  }

  fail(error: MillraceError): void {
    if (error.code === 'MILLRACE_CANCELLED') return this.cancel();
    if (this.#ended) return;
    this.#ended = true;
    const delivered = { deltas: this.#deltas, bytes: this.#bytes };
    const failed = { content: '', error: { ...errorJson(error), delivered }, done: true };
    const { id, headers } = this.#end;
    this.#say({ ...failed, id, headers }, FrameFlag.terminal);
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    const failed = { content: '', error: errorJson(error), done: true, id: this.#end.id };
    return { bytes: Buffer.from(JSON.stringify(failed)), at: -1 };
  }

  #close(reason: FinishReason | 'cancelled'): void {
    if (this.#ended) return;
    this.#ended = true;
    const { id, model, headers } = this.#end;
    const usage = this.#usage === undefined ? undefined : usageJson(this.#usage);
    const last = {
      content: '',
      done: true,
      finish_reason: reason,
      id,
      model,
      usage,
      upstream: this.#upstream,
      headers,
      ...(this.#continued && { continued: true }),
    };
    this.#say(last, FrameFlag.terminal);
    this.#end.remember(this.#text);
  }

  #frameFor(kind: DeltaKind, call: number): DeltaFrame {
    let frame = this.#frame;
    if (frame !== undefined && kind === this.#kind && call === this.#call) return frame;
    frame = frameOf(kind, call);
    this.#frame = frame;
    this.#kind = kind;
    this.#call = call;
    return frame;
  }

  #say(value: object, flags: number): void {
    const bytes = Buffer.from(JSON.stringify(value));
    this.#send(bytes, bytes.length, flags);
  }

  #send(bytes: Uint8Array, length: number, flags = 0): void {
    const commit = this.#sequence === 0 && flags === 0 ? FrameFlag.commit : 0;
    this.#out.frame(bytes, length, flags | commit, this.#sequence++);
  }

  #spend(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bounds.outputBytesMax) return true;
    this.#bytes -= bytes;
    this.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: this.#bounds.outputBytesMax }));
    return false;
  }
}

/** What stands around a delta; `#` is the call's index. */
const shapes: Readonly<Record<DeltaKind, readonly [before: string, tail: Uint8Array]>> = {
  [Delta.text]: ['{"content":"', Buffer.from('","done":false}')],
  [Delta.refusal]: ['{"content":"', Buffer.from('","refusal":true,"done":false}')],
  [Delta.reasoning]: ['{"content":"","reasoning":"', Buffer.from('","done":false}')],
  [Delta.arguments]: [
    '{"content":"","tool":{"index":#,"arguments":"',
    Buffer.from('"},"done":false}'),
  ],
};

function frameOf(kind: DeltaKind, call: number): DeltaFrame {
  const [before, tail] = shapes[kind];
  return new DeltaFrame(before.replace('#', String(call)), undefined, tail);
}

function usageJson(usage: Usage): object {
  return {
    input_tokens: usage.inputTokens,
    cached_tokens: usage.cachedTokens,
    output_tokens: usage.outputTokens,
    reasoning_tokens: usage.reasoningTokens,
  };
}
