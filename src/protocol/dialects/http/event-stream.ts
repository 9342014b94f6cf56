/**
 * JSON frames as Server-Sent Events (the HTML standard, section 9.2), for frames that begin with their type:
 *
 *     {"type":"response.created", … }   ─▶   event: response.created⏎data: {"type":"response.created", … }⏎⏎
 *
 * The first one is preceded by the answer's head. Frames are JSON on one line, so nothing in them needs care.
 */
import { encodeHead } from '../../answer-head.ts';
import type { FrameSink } from '../../dialect.ts';
import { copyBytes } from '../escaped-text.ts';

const EVENT = Buffer.from('event: ');
const DATA = Buffer.from('\ndata: ');
const END = Buffer.from('\n\n');
const TYPE_AT = '{"type":"'.length;
const QUOTE = 0x22;
const PING = Buffer.from(': ping\n\n');
const ROOM_BYTES = 8 * 1024;

/** One frame is built at a time, and the sink copies it: one buffer a thread is enough, as long as it does not grow for good. */
const room = Buffer.allocUnsafeSlow(ROOM_BYTES);

export class EventStream implements FrameSink {
  readonly #out: FrameSink;
  #head: Uint8Array | undefined;

  /** `id` is said in the head, for logs on both sides. */
  constructor(out: FrameSink, id: string) {
    this.#out = out;
    this.#head = streamHead(id);
  }

  get begun(): boolean {
    return this.#head === undefined;
  }

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    const head = this.#takeHead();
    const typeEnd = bytes.indexOf(QUOTE, TYPE_AT);
    const size = head.length + EVENT.length + typeEnd - TYPE_AT + DATA.length + length + END.length;
    const to = size <= room.length ? room : Buffer.allocUnsafe(size);
    let at = put(to, 0, head, 0, head.length);
    at = put(to, at, EVENT, 0, EVENT.length);
    at = put(to, at, bytes, TYPE_AT, typeEnd);
    at = put(to, at, DATA, 0, DATA.length);
    at = put(to, at, bytes, 0, length);
    at = put(to, at, END, 0, END.length);
    this.#out.frame(to, at, flags, sequence);
  }

  /** A whole frame of another kind: the answer's only one, with a head of its own. */
  answer(bytes: Uint8Array, flags: number): void {
    this.#head = undefined;
    this.#out.frame(bytes, bytes.byteLength, flags, 0);
  }

  #takeHead(): Uint8Array {
    const head = this.#head ?? NOTHING;
    this.#head = undefined;
    return head;
  }
}

const NOTHING = new Uint8Array(0);

/** No proxy may collect it: the last two headers say so to caches and to nginx. */
export function streamHead(id: string): Uint8Array {
  return encodeHead({
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'x-request-id': id,
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    },
  });
}

/** Head of an answer that is one JSON object. */
export function objectHead(id: string): Uint8Array {
  const headers = { 'content-type': 'application/json', 'x-request-id': id };
  return encodeHead({ status: 200, headers });
}

/** A comment. It counts as the frame before it (`sequence` is the next one's): it may come twice, or never. */
export function ping(out: FrameSink, sequence: number): void {
  out.frame(PING, PING.length, 0, sequence - 1);
}

function put(to: Buffer, at: number, from: Uint8Array, start: number, end: number): number {
  copyBytes(from, start, end, to, at);
  return at + end - start;
}
