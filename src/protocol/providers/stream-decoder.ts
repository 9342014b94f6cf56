/**
 * The body of a streamed answer, bytes in, events out: what all providers have in common. What an event means, the provider's reader says.
 *
 *     open ──finish reason──▶ finished ──end marker, end or break──▶ done (finish)
 *       └──error, anything else that ends──────────────────────────▶ done (fail)
 *
 * A stream is complete once its finish reason has come, whatever happens to the connection then; before that, no end is a good one.
 */
import { MillraceError } from '../../errors.ts';
import type { DeltaKind, EventSink, FinishReason, Usage } from '../events.ts';
import { wellFormed } from '../json-text.ts';
import type { Framer } from '../ndjson.ts';
import type { Decoder, DecoderBounds } from '../provider.ts';
import { ChunkScanner, viewOf } from '../scan.ts';
import { type Framing, scanKernel } from '../scan-kernel.ts';
import type { DeltaPath } from '../scan-shape.ts';
import { textOf } from '../utf8.ts';
import type { EventReader, Say } from './event-reader.ts';
import { JsonBody, Opening } from './opening.ts';
import { TextOut } from './text-out.ts';

/** Words, big-endian. */
const DATA = 0x64617461;
const EVENT = 0x6576656e;
const SHORTEST_EVENT_BYTES = 16;
const NONE = new Uint8Array(0);

export interface StreamFormat {
  /** `lines`: one JSON value per line, instead of an event stream. */
  readonly framing: 'events' | 'lines';
  readonly framer: Framer;
  readonly reader: EventReader;
}

export class StreamDecoder implements Decoder, Say {
  readonly #upstream: string;
  readonly #sink: EventSink;
  readonly #bounds: DecoderBounds;
  readonly #framer: Framer;
  readonly #reader: EventReader;
  readonly #scanner: ChunkScanner;
  readonly #opening = new Opening();
  readonly #body: JsonBody;
  readonly #text: TextOut;
  readonly #lines: boolean;

  #state: 'open' | 'finished' | 'done' = 'open';
  #reason: FinishReason = 'stop';

  /** What the event being read has said: how many things, and the last delta if it can be learnt. */
  #said = 0;
  #delta: { kind: DeltaKind; part: number; path: DeltaPath } | undefined;
  #framing: Framing;
  #eventName = '';

  constructor(
    upstream: string,
    sink: EventSink,
    bounds: DecoderBounds,
    { framing, framer, reader }: StreamFormat,
  ) {
    this.#upstream = upstream;
    this.#sink = sink;
    this.#bounds = bounds;
    this.#framer = framer;
    this.#reader = reader;
    this.#scanner = new ChunkScanner(reader.volatile);
    this.#lines = framing === 'lines';
    const { eventBytesMax } = bounds;
    this.#framing = { lines: this.#lines, eventLine: NONE, eventBytesMax };
    if (this.#lines) this.#opening.kind = 'events';
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
    let pos = 0;
    while (pos < bytes.length) {
      if (framer.between) {
        pos = this.#scan(bytes, pos);
        framer.skipTo(pos);
        if (pos === bytes.length) break;
      }
      pos = framer.next(pos);
      if (framer.spoilt && !this.#still('done')) this.malformed('a line that is no field');
      else if (framer.ready) this.#readEvent(false);
      if (framer.oversize && !this.#still('done')) this.broken(this.#tooLarge());
      if (this.#still('done')) return;
    }
    this.#sink.flush();
    framer.close();
  }

  /** Reads events of the learnt shape without framing them, as many as follow each other; returns where they end. */
  #scan(bytes: Uint8Array, from: number): number {
    if (this.#state !== 'open' || this.#text.waiting || this.#scanner.blank) return from;
    const scanner = this.#scanner;
    const sink = this.#sink;
    const last = bytes.length - SHORTEST_EVENT_BYTES;
    let pos = this.#run(bytes, from);
    if (pos >= last) return pos;
    const view = viewOf(bytes);
    while (pos < last) {
      const start = this.#lines ? pos : this.#dataAt(bytes, view, pos);
      if (start < 0) return pos;
      const stop = scanner.match(bytes, view, start, bytes.length);
      if (stop < 0 || stop - pos > this.#bounds.eventBytesMax) return pos;
      const next = this.#lines ? lineEnd(bytes, stop) : blankLine(bytes, stop);
      if (next < 0) return pos;
      sink.delta(scanner.kind, scanner.part, bytes, scanner.start, scanner.end);
      pos = next;
    }
    return pos;
  }

  /** The same by the kernel: as far as events follow each other that have the shape of the last one. */
  #run(bytes: Uint8Array, from: number): number {
    const kernel = scanKernel();
    const scanner = this.#scanner;
    const shape = kernel && scanner.first();
    if (!shape) return from;
    const count = kernel.scan(shape, bytes, from, this.#framing);
    if (count === 0) return from;
    scanner.matched();
    const { scans, found } = kernel;
    const { kind, part } = scanner;
    let pos = from;
    // A sink that decodes something else meanwhile takes the kernel away: what it left is read the other way.
    for (let at = 0; at < 3 * count && kernel.scans === scans; at += 3) {
      pos = found[at + 2];
      this.#sink.delta(kind, part, bytes, found[at], found[at + 1]);
    }
    return pos;
  }

  /** Where the data of the event at `pos` begins, when it is named as those that were learnt; otherwise -1. */
  #dataAt(bytes: Uint8Array, view: DataView, pos: number): number {
    const line = this.#framing.eventLine;
    let at = pos;
    if (line.length > 0) {
      if (view.getInt32(at) !== EVENT || at + line.length + SHORTEST_EVENT_BYTES > bytes.length)
        return -1;
      for (let i = 4; i < line.length; i++) if (bytes[at + i] !== line[i]) return -1;
      at += line.length;
    }
    if (view.getInt32(at) !== DATA || bytes[at + 4] !== 0x3a) return -1;
    return bytes[at + 5] === 0x20 ? at + 6 : at + 5;
  }

  /** The event in the framer. `last`: it ended with the body, perhaps too early. */
  #readEvent(last: boolean): void {
    const { bytes, start, end, name } = this.#framer;
    if (this.#state === 'open' && !this.#text.waiting && name === this.#eventName) {
      const scanner = this.#scanner;
      if (!scanner.blank && scanner.match(bytes, viewOf(bytes), start, end) === end) {
        this.#sink.delta(scanner.kind, scanner.part, bytes, scanner.start, scanner.end);
        return;
      }
    }
    const text = textOf(bytes, start, end);
    if (text === undefined) {
      if (!last) this.malformed('bytes that are not UTF-8');
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
      if (!last) this.malformed('an event that is not JSON');
      return;
    }
    this.#said = 0;
    this.#delta = undefined;
    this.#reader.event(value ?? data, name, this);
    if (this.#said !== 1 || this.#delta === undefined || this.#state !== 'open') return;
    if (name !== this.#eventName) this.#rename(name);
    this.#scanner.learn(bytes, start, end, this.#delta);
  }

  /** Deltas come under another event name from here on (reasoning ended, text began). */
  #rename(name: string): void {
    this.#scanner.forget();
    this.#eventName = name;
    const eventLine = name === '' ? NONE : new Uint8Array(Buffer.from(`event: ${name}\n`));
    this.#framing = { ...this.#framing, eventLine };
  }

  /** A body that is one JSON value: an error, or the whole answer from a server that does not stream. */
  #readWhole(): void {
    const bytes = this.#body.take();
    const text = textOf(bytes, 0, bytes.length);
    const value = text === undefined ? undefined : parse(text);
    if (value === undefined) return;
    this.#bounds.onFallback?.();
    this.#reader.whole(value, this);
    if (this.#said === 0) this.malformed('one JSON value instead of a stream');
  }

  // What events say.

  text(kind: DeltaKind, part: number, text: string, path?: DeltaPath): void {
    if (text === '') return;
    this.#said++;
    const split = this.#text.waiting;
    this.#text.say(kind, part, text);
    if (path !== undefined && !split && !this.#text.waiting) this.#delta = { kind, part, path };
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

  end(): void {
    this.#said++;
    this.#end();
  }

  malformed(reason: string): void {
    this.broken(
      new MillraceError('MILLRACE_UPSTREAM_MALFORMED', { upstream: this.#upstream, reason }),
    );
  }

  /** Something is wrong: a failure, but nothing spoils an answer whose finish reason has come. */
  broken(error: MillraceError): void {
    this.#said++;
    if (this.#state === 'finished') this.#complete();
    else if (this.#state === 'open') this.#fail(error);
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

  #tooLarge(): MillraceError {
    const max = this.#bounds.eventBytesMax;
    return new MillraceError('MILLRACE_UPSTREAM_TOO_LARGE', { upstream: this.#upstream, max });
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

/** The position after the end of a line, or -1. */
function lineEnd(bytes: Uint8Array, at: number): number {
  return bytes[at] === 10 ? at + 1 : -1;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
