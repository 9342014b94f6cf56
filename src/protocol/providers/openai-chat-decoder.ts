/**
 * The body of a chat-completion response, bytes in, events out.
 *
 *     open ──finish reason──▶ finished ──[DONE], end or break──▶ done (finish)
 *       └──error, anything else that ends──────────────────────▶ done (fail)
 *
 * A stream is complete once its finish reason has come, whatever happens to the connection then; before that, no end is a good one.
 */
import { MillraceError } from '../../errors.ts';
import { Delta, type DeltaKind, type EventSink, type FinishReason, type Usage } from '../events.ts';
import { wellFormed } from '../json-text.ts';
import type { Decoder, DecoderBounds } from '../provider.ts';
import { ChunkScanner, viewOf } from '../scan.ts';
import { SseFramer } from '../sse.ts';
import { textOf } from '../utf8.ts';
import { asArray, asObject } from './json-value.ts';
import { type ChunkSink, readChunk } from './openai-chat-chunk.ts';
import { errorIn } from './openai-chat-errors.ts';
import { ToolCalls, type ToolSink } from './openai-chat-tools.ts';
import { JsonBody, Opening } from './opening.ts';
import { TextOut } from './text-out.ts';

/** `data` as a big-endian word. */
const DATA = 0x64617461;
const SHORTEST_EVENT_BYTES = 16;

export class OpenaiChatDecoder implements Decoder, ChunkSink, ToolSink {
  readonly #upstream: string;
  readonly #sink: EventSink;
  readonly #bounds: DecoderBounds;
  readonly #framer: SseFramer;
  readonly #scanner = new ChunkScanner();
  readonly #tools: ToolCalls = new ToolCalls(this);
  readonly #opening = new Opening();
  readonly #body: JsonBody;
  readonly #text: TextOut;

  #state: 'open' | 'finished' | 'done' = 'open';
  #reason: FinishReason = 'stop';

  /** What the chunk being read has said: how many things, and the last delta if it can be learnt. */
  #said = 0;
  #delta: { kind: DeltaKind; part: number; field: string } | undefined;

  constructor(upstream: string, sink: EventSink, bounds: DecoderBounds) {
    this.#upstream = upstream;
    this.#sink = sink;
    this.#bounds = bounds;
    this.#framer = new SseFramer(bounds.eventBytesMax);
    this.#body = new JsonBody(bounds.eventBytesMax);
    this.#text = new TextOut(sink);
  }

  get state(): 'open' | 'finished' | 'done' {
    return this.#state;
  }

  push(bytes: Uint8Array): void {
    if (this.#state === 'done' || bytes.length === 0) return;
    if (this.#opening.kind === 'events') {
      this.#read(bytes);
      return;
    }
    let from = 0;
    if (this.#opening.kind === 'unknown') {
      from = this.#opening.look(bytes);
      if (this.#opening.kind === 'unknown') {
        this.#sink.flush();
        return;
      }
    }
    if (this.#opening.kind === 'json') {
      if (this.#body.add(bytes.subarray(from))) this.#sink.flush();
      else this.#fail(this.#tooLarge());
      return;
    }
    const before = this.#opening.taken;
    this.#read(before.length === 0 ? bytes : Buffer.concat([before, bytes.subarray(from)]));
  }

  close(cause?: MillraceError): void {
    if (this.#state === 'done') return;
    if (this.#opening.kind === 'json') this.#readWhole();
    else if (this.#opening.kind === 'events') {
      this.#framer.finish();
      // It may have been cut: what cannot be read is the missing end, not a mistake of its own.
      if (this.#framer.ready) this.#readEvent(true);
    }
    this.#end(cause);
  }

  /** One read of an event stream. */
  #read(bytes: Uint8Array): void {
    const framer = this.#framer;
    framer.open(bytes);
    const view = viewOf(bytes);
    let pos = 0;
    while (pos < bytes.length) {
      if (framer.between) {
        pos = this.#scan(bytes, view, pos);
        framer.skipTo(pos);
        if (pos === bytes.length) break;
      }
      pos = framer.next(pos);
      if (framer.ready) this.#readEvent(false);
      if (framer.oversize && !this.#still('done')) this.#broken(this.#tooLarge());
      if (this.#still('done')) return;
    }
    this.#sink.flush();
    framer.close();
  }

  /** Reads events of the learnt shape without framing them, as many as follow each other; returns where they end. */
  #scan(bytes: Uint8Array, view: DataView, from: number): number {
    if (this.#state !== 'open' || this.#text.waiting || this.#scanner.blank) return from;
    const scanner = this.#scanner;
    const sink = this.#sink;
    const last = bytes.length - SHORTEST_EVENT_BYTES;
    let pos = from;
    while (pos < last) {
      if (view.getInt32(pos) !== DATA || bytes[pos + 4] !== 0x3a) return pos;
      const start = bytes[pos + 5] === 0x20 ? pos + 6 : pos + 5;
      const stop = scanner.match(bytes, view, start, bytes.length);
      if (stop < 0 || stop - pos > this.#bounds.eventBytesMax) return pos;
      const next = blankLine(bytes, stop);
      if (next < 0) return pos;
      sink.delta(scanner.kind, scanner.part, bytes, scanner.start, scanner.end);
      pos = next;
    }
    return pos;
  }

  /** The event in the framer. `last`: it ended with the body, perhaps too early. */
  #readEvent(last: boolean): void {
    const { bytes, start, end, name } = this.#framer;
    if (this.#state === 'open' && !this.#text.waiting && name === '') {
      const scanner = this.#scanner;
      if (!scanner.blank && scanner.match(bytes, viewOf(bytes), start, end) === end) {
        this.#sink.delta(scanner.kind, scanner.part, bytes, scanner.start, scanner.end);
        return;
      }
    }
    const text = textOf(bytes, start, end);
    if (text === undefined) {
      if (!last) this.#malformed('bytes that are not UTF-8');
      return;
    }
    const data = text.trim();
    if (data === '') return;
    if (data === '[DONE]') {
      this.#end();
      return;
    }
    this.#bounds.onFallback?.();
    const value = parse(data);
    if (value === undefined && name !== 'error') {
      if (!last) this.#malformed('an event that is not JSON');
      return;
    }
    this.#said = 0;
    this.#delta = undefined;
    this.#interpret(value ?? data, name);
    if (this.#said === 1 && this.#delta !== undefined && this.#state === 'open')
      this.#scanner.learn(bytes, start, end, this.#delta);
  }

  #interpret(value: unknown, name: string): void {
    const failure = errorIn(this.#upstream, name, value);
    if (failure !== undefined) {
      this.#broken(failure);
      return;
    }
    const chunk = asObject(value);
    const wrong =
      chunk === undefined ? 'an event that is no object' : readChunk(chunk, this.#tools, this);
    if (wrong !== '') this.#malformed(wrong);
  }

  /** A body that is one JSON value: an error, or the whole answer from a server that does not stream. */
  #readWhole(): void {
    const bytes = this.#body.take();
    const text = textOf(bytes, 0, bytes.length);
    const value = text === undefined ? undefined : parse(text);
    if (value === undefined) return;
    this.#bounds.onFallback?.();
    // Google's compatible endpoint wraps its errors in a list.
    const answer = asObject(asArray(value)?.[0] ?? value);
    const choices = asArray(answer?.['choices'])?.map((choice) => {
      const object = asObject(choice);
      return object === undefined ? choice : { ...object, delta: object['message'] };
    });
    this.#interpret(choices === undefined ? answer : { ...answer, choices }, '');
    if (this.#said === 0) this.#malformed('one JSON value instead of a stream');
  }

  // What chunks say.

  text(kind: DeltaKind, text: string, field: string): void {
    this.#say(kind, 0, text, field);
  }

  args(part: number, text: string, sole: boolean): void {
    this.#say(Delta.arguments, part, text, sole ? 'arguments' : '');
  }

  tool(index: number, id: string, name: string): void {
    this.#said++;
    this.#text.release();
    this.#scanner.forget();
    this.#sink.tool(index, wellFormed(id), wellFormed(name));
  }

  usage(usage: Usage): void {
    this.#said++;
    this.#sink.usage(usage);
  }

  finish(reason: FinishReason): void {
    this.#said++;
    if (this.#state !== 'open') return;
    this.#state = 'finished';
    this.#reason = reason;
  }

  #say(kind: DeltaKind, part: number, text: string, field: string): void {
    this.#said++;
    const split = this.#text.waiting;
    this.#text.say(kind, part, text);
    if (field !== '' && !split && !this.#text.waiting) this.#delta = { kind, part, field };
  }

  // Ends.

  /** Nothing more comes: by the marker, by the end of the body, or because it broke. */
  #end(cause?: MillraceError): void {
    if (this.#state === 'done') return;
    if (this.#state === 'finished') this.#complete();
    else
      this.#fail(
        cause ?? new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: this.#upstream }),
      );
  }

  /** Asked through a call: what came in between may have changed it. */
  #still(state: Decoder['state']): boolean {
    return this.#state === state;
  }

  #malformed(reason: string): void {
    this.#broken(
      new MillraceError('MILLRACE_UPSTREAM_MALFORMED', { upstream: this.#upstream, reason }),
    );
  }

  #tooLarge(): MillraceError {
    const max = this.#bounds.eventBytesMax;
    return new MillraceError('MILLRACE_UPSTREAM_TOO_LARGE', { upstream: this.#upstream, max });
  }

  /** Something is wrong: a failure, but nothing spoils an answer whose finish reason has come. */
  #broken(error: MillraceError): void {
    if (this.#state === 'finished') this.#complete();
    else if (this.#state === 'open') this.#fail(error);
  }

  #complete(): void {
    this.#text.release();
    this.#sink.flush();
    this.#state = 'done';
    this.#sink.finish(this.#reason);
  }

  #fail(error: MillraceError): void {
    this.#text.release();
    this.#sink.flush();
    this.#state = 'done';
    this.#sink.fail(error);
  }
}

/** The position after the end of a line and an empty line, or -1. */
function blankLine(bytes: Uint8Array, at: number): number {
  if (bytes[at] === 10) return bytes[at + 1] === 10 ? at + 2 : -1;
  const both = bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13;
  return both && bytes[at + 3] === 10 ? at + 4 : -1;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
