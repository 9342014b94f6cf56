/**
 * One response as events, in the API's order:
 *
 *   created, in_progress                                         openers, made by `open`
 *   └ for each item   output_item.added                          the first of them is the commit point
 *       └ for each part   content_part.added, …delta*, …done, content_part.done      (calls have no parts: arguments only)
 *     output_item.done
 *   completed | incomplete | failed                              terminal
 *
 * A message or a reasoning item ends when something else begins. Calls stay open until the end, because providers may
 * interleave their arguments. A cancelled or failed response skips the `done`s: its terminal event holds what there was.
 */

import { MillraceError } from '../../../errors.ts';
import { must } from '../../../must.ts';
import { type DialectBounds, type Encoder, FrameFlag, type FrameSink } from '../../dialect.ts';
import { Delta, type DeltaKind, type FinishReason, type Usage } from '../../events.ts';
import type { Message } from '../../request.ts';
import { FrameWriter } from '../frame-writer.ts';
import { errorFrame } from './error-frame.ts';
import { assistantMessage, type ContentPart, OutputItem, type PartType } from './output-item.ts';
import { type Answer, type Ending, type ResponseFacts, ResponseObject } from './response-object.ts';

/** Parts of one response; an upstream that alternates for ever ends here, not in our memory. */
const PARTS_MAX = 4_096;

const writer = new FrameWriter();

export interface EncoderEnd {
  /** The response can be continued: `output` is what the model said, as far as it can be sent back to it. */
  remember(output: Message | undefined): void;
  failed(error: MillraceError): void;
}

export class ResponsesEncoder implements Encoder {
  readonly #out: FrameSink;
  readonly #bounds: DialectBounds;
  readonly #facts: ResponseFacts;
  readonly #object: ResponseObject;
  readonly #end: EncoderEnd;
  readonly #items: OutputItem[] = [];
  /** With the first one. */
  #calls: Map<number, OutputItem> | undefined;
  /** The open message or reasoning item. */
  #prose: OutputItem | undefined;
  /** Where the last delta went, so that the next one of its kind goes there without a search. */
  #part: ContentPart | undefined;
  /** The item that content came to last: what a cut answer left unfinished. */
  #touched: OutputItem | undefined;
  #partKind: DeltaKind = Delta.text;
  #partCall = 0;
  #parts = 0;
  #usage: Usage | undefined;
  #upstream: string | undefined;
  #attempts = 0;
  #continued = false;
  #sequence = 0;
  #committed = false;
  #ended = false;
  #deltas = 0;
  #bytes = 0;

  constructor(facts: ResponseFacts, bounds: DialectBounds, out: FrameSink, end: EncoderEnd) {
    this.#facts = facts;
    this.#bounds = bounds;
    this.#out = out;
    this.#end = end;
    this.#object = new ResponseObject(facts);
  }

  get sequence(): number {
    return this.#sequence;
  }

  get committed(): boolean {
    return this.#committed;
  }

  from(upstream: string, attempt = this.#attempts + 1, continued = false): void {
    this.#upstream = upstream;
    this.#attempts = attempt;
    this.#continued = continued;
  }

  open(): void {
    for (const type of ['response.created', 'response.in_progress']) {
      this.#object.writeOpener(writer.reset(), type, this.#sequence);
      this.#send(FrameFlag.opener);
    }
  }

  delta(kind: DeltaKind, call: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ended || !this.#spend(end - start)) return;
    let part = this.#part;
    if (part === undefined || kind !== this.#partKind || call !== this.#partCall) {
      part = this.#select(kind, call);
      if (this.#ended) return;
    }
    const frame = part.frame;
    must(frame !== undefined, 'a part that takes deltas is open');
    const length = frame.fill(this.#sequence, bytes, start, end);
    part.text.append(bytes, start, end);
    this.#deltas++;
    this.#out.frame(frame.bytes, length, 0, this.#sequence++);
  }

  tool(index: number, id: string, name: string): void {
    if (this.#ended || this.#calls?.has(index)) return;
    if (!this.#spend(Buffer.byteLength(id) + Buffer.byteLength(name))) return;
    if (!this.#room()) return;
    this.#closeProse();
    const call = { id: id || `call_${this.#facts.id.slice(-12)}_${index}`, name };
    const item = new OutputItem('function_call', this.#items.length, this.#facts.stream, call);
    this.#calls ??= new Map();
    this.#calls.set(index, item);
    this.#add(item);
    item.addPart('arguments');
  }

  usage(usage: Usage): void {
    this.#usage = usage;
  }

  flush(): void {}

  finish(reason: FinishReason): void {
    if (this.#ended) return;
    const cut = incompleteReasons[reason];
    for (const item of this.#items) {
      const partial = cut !== undefined && item === this.#touched;
      if (item.status === 'in_progress') this.#close(item, partial ? 'incomplete' : 'completed');
    }
    this.#terminate(
      cut === undefined ? { status: 'completed' } : { status: 'incomplete', reason: cut },
    );
    this.#end.remember(assistantMessage(this.#items));
  }

  fail(error: MillraceError): void {
    if (error.code === 'MILLRACE_CANCELLED') return this.cancel();
    if (this.#ended) return;
    const delivered = { deltas: this.#deltas, bytes: this.#bytes };
    this.#terminate({ status: 'failed', error, delivered });
    this.#end.failed(error);
  }

  /** The API has no event for it: the response is incomplete, and its reason says why. It can be continued. */
  cancel(): void {
    if (this.#ended) return;
    this.#terminate({ status: 'incomplete', reason: 'cancelled' });
    this.#end.remember(assistantMessage(this.#items));
  }

  epitaph(error: MillraceError): { bytes: Uint8Array; at: number; unopened: Uint8Array } {
    const ending: Ending = { status: 'failed', error };
    const at = this.#object.writeEnding(writer.reset(), ending, '', nothing);
    return { bytes: writer.copy(), at, unopened: errorFrame(error, this.#facts.lane) };
  }

  /** The part a delta belongs to, opened if need be. */
  #select(kind: DeltaKind, call: number): ContentPart {
    this.#partKind = kind;
    this.#partCall = call;
    const part =
      kind === Delta.arguments
        ? this.#callPart(call)
        : this.#proseTo(kind === Delta.reasoning ? 'reasoning' : 'message', proseParts[kind]);
    this.#part = part;
    return part;
  }

  #callPart(call: number): ContentPart {
    const item = this.#calls?.get(call);
    must(item !== undefined, 'arguments follow their call');
    this.#touched = item;
    return item.parts[0];
  }

  #proseTo(type: 'message' | 'reasoning', partType: PartType): ContentPart {
    if (this.#prose?.type !== type) {
      this.#closeProse();
      this.#prose = new OutputItem(type, this.#items.length, this.#facts.stream);
      this.#add(this.#prose);
    }
    const item = this.#prose;
    this.#touched = item;
    const last = item.parts.at(-1);
    if (last?.type === partType) return last;
    if (last !== undefined) this.#closePart(last);
    const part = item.addPart(partType);
    if (this.#room()) {
      part.writePartEvent(writer.reset(), 'added', this.#sequence);
      this.#send(0);
    }
    return part;
  }

  #add(item: OutputItem): void {
    this.#items.push(item);
    this.#touched = item;
    const answering = this.#committed ? undefined : this.#answering();
    item.writeItemEvent(writer.reset(), 'added', this.#sequence, answering);
    this.#send(this.#committed ? 0 : FrameFlag.commit);
    this.#committed = true;
  }

  /** Who answers, for clients that show it: said as soon as it is settled. */
  #answering(): string {
    return JSON.stringify({ upstream: this.#upstream ?? null, attempts: this.#attempts });
  }

  #closeProse(): void {
    if (this.#prose !== undefined) this.#close(this.#prose, 'completed');
    this.#prose = undefined;
    this.#part = undefined;
  }

  #close(item: OutputItem, status: 'completed' | 'incomplete'): void {
    item.status = status;
    const last = item.parts.at(-1);
    if (last !== undefined) this.#closePart(last);
    item.writeItemEvent(writer.reset(), 'done', this.#sequence);
    this.#send(0);
  }

  #closePart(part: ContentPart): void {
    part.frame = undefined;
    part.writeDone(writer.reset(), this.#sequence);
    this.#send(0);
    if (part.type === 'arguments') return;
    part.writePartEvent(writer.reset(), 'done', this.#sequence);
    this.#send(0);
  }

  #terminate(ending: Ending): void {
    this.#ended = true;
    const completedAt = Math.floor((this.#bounds.now?.() ?? this.#facts.createdAt * 1000) / 1000);
    this.#object.writeEnding(writer.reset(), ending, String(this.#sequence), {
      completedAt,
      items: this.#items,
      usage: this.#usage,
      upstream: this.#upstream,
      attempts: this.#attempts,
      continued: this.#continued,
    });
    this.#send(FrameFlag.terminal);
  }

  #send(flags: number): void {
    this.#out.frame(writer.bytes, writer.length, flags, this.#sequence++);
  }

  /** False: the answer is above its bound and has failed. */
  #spend(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bounds.outputBytesMax) return true;
    this.#bytes -= bytes;
    this.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: this.#bounds.outputBytesMax }));
    return false;
  }

  #room(): boolean {
    if (++this.#parts <= PARTS_MAX) return true;
    this.fail(new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: this.#bounds.outputBytesMax }));
    return false;
  }
}

/** What main knows of an answer. */
const nothing: Answer = {
  completedAt: 0,
  items: [],
  usage: undefined,
  upstream: undefined,
  attempts: undefined,
  continued: false,
};

const incompleteReasons: Readonly<Record<FinishReason, string | undefined>> = {
  stop: undefined,
  tool_calls: undefined,
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

const proseParts: Readonly<Record<DeltaKind, PartType>> = {
  [Delta.text]: 'output_text',
  [Delta.refusal]: 'refusal',
  [Delta.reasoning]: 'reasoning_text',
  [Delta.arguments]: 'arguments',
};
