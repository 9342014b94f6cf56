/**
 * One completion as one object, made when it is whole. Nothing goes out before, so every failure is an HTTP status; content still commits, as in
 * a stream: a second upstream would not begin where the first one stopped.
 */
import { MillraceError } from '../../../errors.ts';
import { type DialectBounds, type Encoder, FrameFlag, type FrameSink } from '../../dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../../events.ts';
import { EscapedText } from '../escaped-text.ts';
import { FrameWriter } from '../frame-writer.ts';
import { errorAnswer } from '../http/error-answer.ts';
import { objectHead } from '../http/event-stream.ts';
import { type CompletionFacts, callId, extensionJson, usageJson } from './completion-words.ts';

const writer = new FrameWriter();

interface Call {
  readonly id: string;
  readonly name: string;
  readonly arguments: EscapedText;
}

export class WholeCompletion implements Encoder {
  readonly #facts: CompletionFacts;
  readonly #bounds: DialectBounds;
  readonly #out: FrameSink;
  readonly #text = new EscapedText();
  readonly #refusal = new EscapedText();
  readonly #reasoning = new EscapedText();
  readonly #calls = new Map<number, Call>();
  #usage: Usage | undefined;
  #upstream: string | undefined;
  #continued = false;
  #bytes = 0;
  #ended = false;

  constructor(facts: CompletionFacts, bounds: DialectBounds, out: FrameSink) {
    this.#facts = facts;
    this.#bounds = bounds;
    this.#out = out;
  }

  get sequence(): number {
    return this.#ended ? 1 : 0;
  }

  get committed(): boolean {
    return this.#bytes > 0;
  }

  from(upstream: string, _attempt?: number, continued = false): void {
    this.#upstream = upstream;
    this.#continued = continued;
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended || !this.#spend(end - start)) return;
    this.#textOf(kind, call)?.append(bytes, start, end);
  }

  tool(call: number, id: string, name: string): void {
    if (this.#ended || this.#calls.has(call)) return;
    if (!this.#spend(Buffer.byteLength(id) + Buffer.byteLength(name))) return;
    const index = this.#calls.size;
    const begun = { id: callId(id, this.#facts, index), name, arguments: new EscapedText() };
    this.#calls.set(call, begun);
  }

  usage(usage: Usage): void {
    this.#usage = usage;
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    if (this.#ended) return;
    const { id, createdAt, model } = this.#facts;
    const to = writer.reset().raw(objectHead(id));
    to.text(`{"id":"${id}","object":"chat.completion","created":${createdAt},"model":`).json(model);
    to.text(',"choices":[{"index":0,"message":{"role":"assistant","content":');
    this.#write(to, this.#text);
    to.text(',"refusal":');
    this.#write(to, this.#refusal);
    if (this.#reasoning.length > 0) {
      to.text(',"reasoning_content":');
      this.#write(to, this.#reasoning);
    }
    if (this.#calls.size > 0) this.#writeCalls(to);
    to.text(`},"logprobs":null,"finish_reason":"${reason}"}],"usage":${usageJson(this.#usage)}`);
    to.text(`,"x_millrace":${extensionJson(this.#upstream, this.#continued)}}`);
    this.#say(to.bytes, to.length, FrameFlag.commit | FrameFlag.terminal);
  }

  fail(error: MillraceError): void {
    if (this.#ended) return;
    const answer = errorAnswer(error);
    this.#say(answer, answer.byteLength, FrameFlag.terminal);
  }

  cancel(): void {
    this.fail(new MillraceError('MILLRACE_CANCELLED', {}));
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    return { bytes: errorAnswer(error), at: -1 };
  }

  #textOf(kind: DeltaKind, call: number): EscapedText | undefined {
    if (kind === Delta.text) return this.#text;
    if (kind === Delta.refusal) return this.#refusal;
    if (kind === Delta.reasoning) return this.#reasoning;
    return this.#calls.get(call)?.arguments;
  }

  #write(to: FrameWriter, text: EscapedText): void {
    if (text.length === 0) to.text('null');
    else to.text('"').raw(text.bytes, 0, text.length).text('"');
  }

  #writeCalls(to: FrameWriter): void {
    to.text(',"tool_calls":[');
    let between = '';
    for (const { id, name, arguments: text } of this.#calls.values()) {
      to.text(`${between}{"id":`)
        .json(id)
        .text(',"type":"function","function":{"name":')
        .json(name);
      to.text(',"arguments":"').raw(text.bytes, 0, text.length).text('"}}');
      between = ',';
    }
    to.text(']');
  }

  #say(bytes: Uint8Array, length: number, flags: number): void {
    this.#ended = true;
    this.#out.frame(bytes, length, flags, 0);
  }

  #spend(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bounds.outputBytesMax) return true;
    this.#bytes -= bytes;
    this.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: this.#bounds.outputBytesMax }));
    return false;
  }
}
