/**
 * Text in pieces of a number of graphemes. A piece ends between clusters (graphemes.ts), and between code points always. A cluster of
 * more than CLUSTER_UNITS_MAX code units is cut there: marks without end are no character, and whoever waits for their end waits for ever.
 */
import { BREAK, isOpen, NOTHING, PLAIN, PREFIX, step } from './graphemes.ts';
import { endsInHalf } from './json-text.ts';

/** UTF-16 code units of one cluster that are never cut apart. */
export const CLUSTER_UNITS_MAX = 64;

const HELD = BREAK - 1;
/** ' ' to '~': each begins a cluster, whatever came before (but a prefix), and nothing remembers it. */
const PRINTABLE_FIRST = 0x20;
const PRINTABLE_COUNT = 0x5f;

/** Where the last look at a text ended: used at once, by the same thread. */
let lastHeld: number = NOTHING;
let lastCluster = 0;

/** Where the piece ends that begins at `from`: after `size` graphemes, or at the end of the text. */
export function chunkEnd(text: string, from: number, size: number): number {
  const { length } = text;
  let at = from;
  let count = 0;
  let held: number = NOTHING;
  let cluster = from;
  while (at < length) {
    const unit = text.charCodeAt(at);
    if ((unit - PRINTABLE_FIRST) >>> 0 < PRINTABLE_COUNT && held !== PREFIX) {
      const stop = Math.min(length, at + size - count);
      if (at === stop) return at;
      const begun = at;
      do at++;
      while (at < stop && (text.charCodeAt(at) - PRINTABLE_FIRST) >>> 0 < PRINTABLE_COUNT);
      count += at - begun;
      cluster = at - 1;
      held = PLAIN;
      continue;
    }
    const point = unit < 0xd800 || unit > 0xdbff ? unit : (text.codePointAt(at) ?? unit);
    const next = at + (point > 0xffff ? 2 : 1);
    const stepped = step(held, point);
    if ((stepped & BREAK) !== 0 || next - cluster > CLUSTER_UNITS_MAX) {
      if (count === size) return at;
      count++;
      cluster = at;
    }
    held = stepped & HELD;
    at = next;
  }
  lastHeld = held;
  lastCluster = cluster;
  return length;
}

/** From here on printable, as far as it goes. */
const printableRun = /[ -~]*/y;

/** A text that is cut from its front while it may still grow at its end. */
export class TextChunks {
  #text = '';
  #at = 0;
  /** Printable up to there: pieces before it are found without looking. */
  #printableEnd = 0;
  /** The first half of a surrogate pair that the text ends with. */
  #half = '';

  /** UTF-16 code units that wait. */
  get units(): number {
    return this.#text.length - this.#at + this.#half.length;
  }

  push(text: string): void {
    let more = this.#half + text;
    this.#half = endsInHalf(more) ? more.slice(-1) : '';
    if (this.#half !== '') more = more.slice(0, -1);
    this.#append(more);
  }

  /**
   * The next piece: `size` graphemes, or what there is; '' when there is none. Unless the text is `complete`, a cluster at its end that is
   * open stays. Marks that come later are nobody's guess (graphemes.ts).
   */
  next(size: number, complete: boolean): string {
    if (complete && this.#half !== '') {
      this.#append(this.#half);
      this.#half = '';
    }
    const text = this.#text;
    const from = this.#at;
    if (from >= this.#printableEnd) {
      printableRun.lastIndex = from;
      printableRun.test(text);
      this.#printableEnd = printableRun.lastIndex;
    }
    let end = from + size;
    if (end >= this.#printableEnd) {
      end = chunkEnd(text, from, size);
      if (end === text.length && !complete && end > from && isOpen(lastHeld)) end = lastCluster;
    }
    this.#at = end;
    return text.slice(from, end);
  }

  #append(text: string): void {
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = 0;
    this.#printableEnd = 0;
  }
}

/** What `cutBody` found. */
export interface BodyCut {
  /** End of the piece. */
  end: number;
  /** Where it ends with the range: begin of a cluster that may go on, else the end. */
  whole: number;
}

const shortEscapes = new Uint8Array(128).fill(0x20);
// What the short escapes of JSON stand for, as far as clusters know a difference.
for (const [letter, point] of [
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['b', 0x08],
  ['f', 0x0c],
] as const) {
  shortEscapes[letter.charCodeAt(0)] = point;
}

const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/**
 * The same over the escaped body of a JSON string in UTF-8 (events.ts), which is valid: the piece of `size` graphemes that begins at
 * `from`. Writes into `cut`.
 */
export function cutBody(
  bytes: Uint8Array,
  from: number,
  end: number,
  size: number,
  cut: BodyCut,
): void {
  let at = from;
  let count = 0;
  let held: number = NOTHING;
  let cluster = from;
  let units = 0;
  while (at < end) {
    const byte = bytes[at];
    if (plain[byte] === 1 && held !== PREFIX) {
      const stop = Math.min(end, at + size - count);
      if (at === stop) return found(cut, at, at);
      const begun = at;
      at = printableEnd(bytes, at + 1, stop);
      count += at - begun;
      cluster = at - 1;
      units = 1;
      held = PLAIN;
      continue;
    }
    let length = 1;
    let point = byte;
    if (byte >= 0x80) {
      const second = bytes[at + 1] & 0x3f;
      if (byte < 0xe0) {
        length = 2;
        point = ((byte & 0x1f) << 6) | second;
      } else if (byte < 0xf0) {
        length = 3;
        point = ((byte & 0x0f) << 12) | (second << 6) | (bytes[at + 2] & 0x3f);
      } else {
        length = 4;
        point = fourBytes(bytes, at);
      }
    } else if (byte === BACKSLASH) {
      point = escapedAt(bytes, at);
      length = bytes[at + 1] !== LOWER_U ? 2 : point > 0xffff ? 12 : 6;
    }
    const more = point > 0xffff ? 2 : 1;
    const stepped = step(held, point);
    units += more;
    if ((stepped & BREAK) !== 0 || units > CLUSTER_UNITS_MAX) {
      if (count === size) return found(cut, at, at);
      count++;
      cluster = at;
      units = more;
    }
    held = stepped & HELD;
    at += length;
  }
  found(cut, end, isOpen(held) ? cluster : end);
}

function found(cut: BodyCut, end: number, whole: number): void {
  cut.end = end;
  cut.whole = whole;
}

/** 1: begins a grapheme and is one byte, neither escape nor control. */
const plain = new Uint8Array(256);
plain.fill(1, PRINTABLE_FIRST, PRINTABLE_FIRST + PRINTABLE_COUNT);
plain[BACKSLASH] = 0;

function printableEnd(bytes: Uint8Array, from: number, stop: number): number {
  let at = from;
  // Four at once: the sum is 4 where all are plain.
  while (
    at + 4 <= stop &&
    plain[bytes[at]] + plain[bytes[at + 1]] + plain[bytes[at + 2]] + plain[bytes[at + 3]] === 4
  ) {
    at += 4;
  }
  while (at < stop && plain[bytes[at]] === 1) at++;
  return at;
}

function fourBytes(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] & 0x07) << 18) | ((bytes[at + 1] & 0x3f) << 12);
  return high | ((bytes[at + 2] & 0x3f) << 6) | (bytes[at + 3] & 0x3f);
}

function escapedAt(bytes: Uint8Array, at: number): number {
  const kind = bytes[at + 1];
  if (kind !== LOWER_U) return shortEscapes[kind & 0x7f];
  const unit = hex4(bytes, at + 2);
  if (unit < 0xd800 || unit > 0xdbff) return unit;
  // A valid body has the second half behind it.
  return 0x10000 + ((unit - 0xd800) << 10) + (hex4(bytes, at + 8) - 0xdc00);
}

function hex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = bytes[i];
    value = (value << 4) | (byte < 0x3a ? byte - 0x30 : (byte | 0x20) - 0x57);
  }
  return value;
}
