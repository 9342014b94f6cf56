/**
 * One completion as chunks:
 *
 *     role                       with the status, when the first content is there
 *     content | refusal | reasoning_content | tool_calls, …
 *     finish_reason, usage (if asked for), [DONE]         one frame
 *     or: an error, and no [DONE]
 */
import { MillraceError } from '../../../errors.ts';
import { type DialectBounds, type Encoder, FrameFlag, type FrameSink } from '../../dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../../events.ts';
import { DeltaFrame } from '../delta-frame.ts';
import { errorAnswer, errorJson } from '../http/error-answer.ts';
import { ping, streamHead } from '../http/event-stream.ts';
import {
  CallIndexes,
  type CompletionFacts,
  callId,
  extensionJson,
  usageJson,
} from './completion-words.ts';

export class ChunkEncoder implements Encoder {
  readonly #facts: CompletionFacts;
  readonly #bounds: DialectBounds;
  readonly #out: FrameSink;
  /** What stands in every chunk, up to its delta and from its choices' end on. */
  readonly #before: string;
  readonly #after: string;
  readonly #calls = new CallIndexes();
  /** The frame of the last delta's kind (and call). */
  #frame: DeltaFrame | undefined;
  #kind: DeltaKind = Delta.text;
  #call = 0;
  #usage: Usage | undefined;
  #upstream: string | undefined;
  #continued = false;
  #sequence = 0;
  #committed = false;
  #ended = false;
  #deltas = 0;
  #bytes = 0;

  constructor(facts: CompletionFacts, bounds: DialectBounds, out: FrameSink) {
    this.#facts = facts;
    this.#bounds = bounds;
    this.#out = out;
    const { id, createdAt, model, includeUsage } = facts;
    const named = `"id":"${id}","object":"chat.completion.chunk","created":${createdAt}`;
    this.#before = `data: {${named},"model":${JSON.stringify(model)},"choices":[`;
    this.#after = includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  }

  get sequence(): number {
    return this.#sequence;
  }

  get committed(): boolean {
    return this.#committed;
  }

  from(upstream: string, _attempt?: number, continued = false): void {
    this.#upstream = upstream;
    this.#continued = continued;
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended || !this.#spend(end - start)) return;
    this.#open();
    const frame = this.#frameFor(kind, call);
    const length = frame.fill(0, bytes, start, end);
    this.#deltas++;
    this.#content(frame.bytes, length);
  }

  tool(call: number, id: string, name: string): void {
    if (this.#ended || !this.#spend(Buffer.byteLength(id) + Buffer.byteLength(name))) return;
    const index = this.#calls.begin(call);
    if (index === undefined) return;
    this.#open();
    const begun = { index, id: callId(id, this.#facts, index), type: 'function' };
    const delta = { tool_calls: [{ ...begun, function: { name, arguments: '' } }] };
    const bytes = Buffer.from(this.#chunk(JSON.stringify(delta), 'null'));
    this.#content(bytes, bytes.length);
  }

  usage(usage: Usage): void {
    this.#usage = usage;
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    if (this.#ended) return;
    this.#open();
    this.#ended = true;
    const extension = `,"x_millrace":${extensionJson(this.#upstream, this.#continued)}}\n\n`;
    const last = this.#chunk('{}', `"${reason}"`).slice(0, -CHUNK_END.length) + extension;
    const usage = this.#facts.includeUsage
      ? `${this.#before}],"usage":${usageJson(this.#usage)}}\n\n`
      : '';
    this.#say(`${last}${usage}data: [DONE]\n\n`, FrameFlag.terminal);
  }

  fail(error: MillraceError): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#sequence > 0) {
      const delivered = { deltas: this.#deltas, bytes: this.#bytes };
      return this.#say(`data: ${errorJson(error, delivered)}\n\n`, FrameFlag.terminal);
    }
    const answer = errorAnswer(error);
    this.#out.frame(answer, answer.byteLength, FrameFlag.terminal, this.#sequence++);
  }

  /** The API has no word for it: whoever cancels a request over HTTP has left. */
  cancel(): void {
    this.fail(new MillraceError('MILLRACE_CANCELLED', {}));
  }

  alive(): void {
    if (this.#ended) return;
    if (this.#sequence > 0) ping(this.#out, this.#sequence);
    else this.#open();
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number } {
    return { bytes: Buffer.from(`data: ${errorJson(error)}\n\n`), at: -1 };
  }

  #open(): void {
    if (this.#sequence > 0) return;
    const role = this.#chunk('{"role":"assistant","content":""}', 'null');
    const bytes = Buffer.concat([streamHead(this.#facts.id), Buffer.from(role)]);
    this.#out.frame(bytes, bytes.length, FrameFlag.opener, this.#sequence++);
  }

  #chunk(delta: string, reason: string): string {
    return `${this.#before}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}${this.#after}`;
  }

  #frameFor(kind: DeltaKind, call: number): DeltaFrame {
    const frame = this.#frame;
    if (frame !== undefined && kind === this.#kind && call === this.#call) return frame;
    const [before, after] = shapes[kind];
    const around = before.replace('#', String(this.#calls.of(call)));
    const tail = `${after},"logprobs":null,"finish_reason":null}${this.#after}`;
    this.#frame = new DeltaFrame(
      `${this.#before}{"index":0,"delta":${around}`,
      undefined,
      Buffer.from(tail),
    );
    this.#kind = kind;
    this.#call = call;
    return this.#frame;
  }

  #content(bytes: Uint8Array, length: number): void {
    const flags = this.#committed ? 0 : FrameFlag.commit;
    this.#committed = true;
    this.#out.frame(bytes, length, flags, this.#sequence++);
  }

  #say(text: string, flags: number): void {
    const bytes = Buffer.from(text);
    this.#out.frame(bytes, bytes.length, flags, this.#sequence++);
  }

  #spend(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bounds.outputBytesMax) return true;
    this.#bytes -= bytes;
    this.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: this.#bounds.outputBytesMax }));
    return false;
  }
}

/** Of every chunk: what the extension of the last one is put in front of. */
const CHUNK_END = '}\n\n';

/** What stands around the text of a delta; `#` is the call's index. */
const shapes: Readonly<Record<DeltaKind, readonly [before: string, after: string]>> = {
  [Delta.text]: ['{"content":"', '"}'],
  [Delta.refusal]: ['{"refusal":"', '"}'],
  [Delta.reasoning]: ['{"reasoning_content":"', '"}'],
  [Delta.arguments]: ['{"tool_calls":[{"index":#,"function":{"arguments":"', '"}}]}'],
};
