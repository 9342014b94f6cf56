/**
 * Event-stream framing (WHATWG HTML section 9.2) over bytes, resumable at any byte.
 *
 *     open(read) ─▶ next(pos) ─▶ ready? the event is bytes[start, end) ─▶ next … ─▶ close()
 *
 * An event that lies whole in one read is handed out as a range of it; only what is split over reads is copied. Ranges stay
 * valid until `close`. Different from browsers on purpose: the last event counts without its blank line (llama-server ends so),
 * `error:` is read as an event of that name (llama-server of 2025 wrote it), and an event has a size limit.
 * `id` and `retry` serve reconnecting readers and are skipped: an answer is never asked for twice. Browsers also skip whatever else a line says. Here a line that
 * may have been an event before a byte of it changed is `spoilt`, or its text would be missing in an answer that looks whole.
 */

const LF = 10;
const CR = 13;
const SPACE = 0x20;
const COLON = 0x3a;
const NONE: Uint8Array = new Uint8Array(0);

export class SseFramer {
  /** After `next`: an event is out. */
  ready = false;
  /** Its name, '' when it has none. */
  name = '';
  /** Its data, several lines joined by a line feed. */
  bytes: Uint8Array = NONE;
  start = 0;
  end = 0;
  /** An event outgrew the limit: nothing more can be read. */
  oversize = false;
  /** A line came that is no field, or hides an event in a field nobody knows: what it was meant to say is lost. */
  spoilt = false;

  readonly #bytesMax: number;
  #read: Uint8Array = NONE;
  #nextLf = -1;
  #nextCr = -1;
  #skipLf = false;
  #firstLine = true;

  /** Bytes of the current event's lines so far, terminators and comments not counted. */
  #size = 0;
  #name = '';
  /** The current event's data so far: none, a range of the read, or a range of `#held`. */
  #data: 'none' | 'read' | 'held' = 'none';
  #dataStart = 0;
  #dataEnd = 0;
  /** Data that cannot be a range of the read. Grown, never moved, until `close`: ranges of it are out. */
  #held: Uint8Array = NONE;
  #heldEnd = 0;
  /** A line that began in an earlier read. */
  #line: Uint8Array = NONE;
  #lineEnd = 0;
  /** Where the unfinished line begins in this read. */
  #rest = 0;

  constructor(eventBytesMax: number) {
    this.#bytesMax = eventBytesMax;
  }

  /** Nothing of an event was read yet: the next byte begins a line of a new one. */
  get between(): boolean {
    return this.#size === 0 && this.#lineEnd === 0 && !this.#firstLine && this.#data === 'none';
  }

  open(read: Uint8Array): void {
    this.#read = read;
    this.#nextLf = -1;
    this.#nextCr = -1;
    this.#rest = 0;
  }

  /** Reads on at `from`, up to the end of one event or of the read, and returns where it stopped. */
  next(from: number): number {
    const read = this.#read;
    let pos = from;
    this.ready = false;
    while (pos < read.length && !this.oversize) {
      if (this.#skipLf) {
        this.#skipLf = false;
        if (read[pos] === LF) pos++;
        if (pos === read.length) break;
      }
      const stop = this.#terminator(pos);
      if (stop === read.length) {
        this.#rest = pos;
        this.#checkRest(pos);
        return stop;
      }
      this.#take(pos, stop);
      pos = stop + 1;
      if (read[stop] === CR) this.#skipLf = true;
      this.#rest = pos;
      if (this.ready) {
        // A CR that ends an event takes its LF along when it is there, so that the next one begins cleanly.
        if (this.#skipLf && pos < read.length) {
          this.#skipLf = false;
          if (read[pos] === LF) pos++;
          this.#rest = pos;
        }
        return pos;
      }
    }
    this.#rest = pos;
    return pos;
  }

  /** The caller read an event by itself (only when `between`): goes on at `pos`. */
  skipTo(pos: number): void {
    this.#rest = pos;
  }

  /** The read is over and its ranges are given back: keeps a copy of what is unfinished. */
  close(): void {
    if (this.#data === 'read') this.#hold(this.#read, this.#dataStart, this.#dataEnd);
    else if (this.#data === 'held' && this.#dataStart > 0) {
      this.#held.copyWithin(0, this.#dataStart, this.#dataEnd);
      this.#dataEnd -= this.#dataStart;
      this.#dataStart = 0;
      this.#heldEnd = this.#dataEnd;
    }
    if (this.#data === 'none') this.#heldEnd = 0;
    const rest = this.#read.length - this.#rest;
    if (rest > 0 && !this.oversize) this.#keepLine(this.#rest, this.#read.length);
    this.#read = NONE;
    this.#rest = 0;
  }

  /** The body is over: hands out the last event, if there is one without its blank line. Call `close` first. */
  finish(): void {
    this.ready = false;
    if (this.oversize) return;
    if (this.#lineEnd > 0) {
      const length = this.#lineEnd;
      this.#lineEnd = 0;
      this.#readLine(this.#line, 0, length);
    }
    this.#dispatch();
  }

  /** Position of the next CR or LF, or the read's length. Each byte is looked at once, whatever the mixture. */
  #terminator(pos: number): number {
    const read = this.#read;
    if (this.#nextLf < pos) {
      const at = read.indexOf(LF, pos);
      this.#nextLf = at < 0 ? read.length : at;
    }
    if (this.#nextCr < pos) {
      const at = read.indexOf(CR, pos);
      this.#nextCr = at < 0 ? read.length : at;
    }
    return this.#nextLf < this.#nextCr ? this.#nextLf : this.#nextCr;
  }

  /** A line ended at `stop`. */
  #take(pos: number, stop: number): void {
    if (this.#lineEnd === 0) {
      this.#readLine(this.#read, pos, stop);
      return;
    }
    this.#keepLine(pos, stop);
    const length = this.#lineEnd;
    this.#lineEnd = 0;
    this.#readLine(this.#line, 0, length);
  }

  #readLine(bytes: Uint8Array, from: number, end: number): void {
    let start = from;
    if (this.#firstLine) {
      this.#firstLine = false;
      if (bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf)
        start = Math.min(start + 3, end);
    }
    if (start === end) {
      this.#dispatch();
      return;
    }
    if (bytes[start] === COLON) {
      if (end - start > this.#bytesMax) this.oversize = true;
      return;
    }
    this.#size += end - start;
    if (this.#size > this.#bytesMax) {
      this.oversize = true;
      return;
    }
    this.#field(bytes, start, end);
  }

  #field(bytes: Uint8Array, start: number, end: number): void {
    let colon = start;
    while (colon < end && bytes[colon] !== COLON) colon++;
    let value = Math.min(colon + 1, end);
    if (value < end && bytes[value] === SPACE) value++;
    const length = colon - start;
    if (length === 4 && isWord(bytes, start, DATA)) this.#append(bytes, value, end);
    else if (length === 5 && isWord(bytes, start, EVENT)) {
      this.#name = Buffer.from(bytes.subarray(value, end)).toString('utf8');
      if (!PLAIN_NAME.test(this.#name)) this.spoilt = true;
    } else if (length === 5 && isWord(bytes, start, ERROR)) {
      this.#name = 'error';
      this.#append(bytes, value, end);
    } else if (!isFieldName(bytes, start, colon)) this.spoilt = true;
    else if (value < end && opensJson(bytes[value]) && !isWord(bytes, start, ID))
      this.spoilt = true;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    if (this.#data === 'none' && bytes === this.#read) {
      this.#data = 'read';
      this.#dataStart = start;
      this.#dataEnd = end;
      return;
    }
    if (this.#data === 'none') {
      this.#hold(bytes, start, end);
      return;
    }
    if (this.#data === 'read') this.#hold(this.#read, this.#dataStart, this.#dataEnd);
    this.#room(end - start + 1);
    this.#held[this.#heldEnd] = LF;
    this.#held.set(bytes.subarray(start, end), this.#heldEnd + 1);
    this.#heldEnd += end - start + 1;
    this.#dataEnd = this.#heldEnd;
  }

  /** Makes a range the beginning of the current event's held data. */
  #hold(bytes: Uint8Array, start: number, end: number): void {
    this.#data = 'held';
    this.#dataStart = this.#heldEnd;
    this.#dataEnd = this.#heldEnd;
    this.#room(end - start);
    this.#held.set(bytes.subarray(start, end), this.#heldEnd);
    this.#heldEnd += end - start;
    this.#dataEnd = this.#heldEnd;
  }

  /** Space for `more` held bytes. Growing leaves the old buffer to the ranges that are out and takes the current event along. */
  #room(more: number): void {
    if (this.#heldEnd + more <= this.#held.length) return;
    const length = this.#dataEnd - this.#dataStart;
    const grown = new Uint8Array(Math.max(1024, 2 * (length + more)));
    grown.set(this.#held.subarray(this.#dataStart, this.#dataEnd));
    this.#held = grown;
    this.#dataStart = 0;
    this.#heldEnd = length;
  }

  #keepLine(start: number, end: number): void {
    const length = this.#lineEnd + end - start;
    if (length > this.#line.length) {
      const grown = new Uint8Array(Math.max(1024, 2 * length));
      grown.set(this.#line.subarray(0, this.#lineEnd));
      this.#line = grown;
    }
    this.#line.set(this.#read.subarray(start, end), this.#lineEnd);
    this.#lineEnd = length;
  }

  /** The limit holds for unfinished lines too, or a line without an end would be kept for ever. */
  #checkRest(pos: number): void {
    const rest = this.#read.length - pos;
    const first = this.#lineEnd > 0 ? this.#line[0] : this.#read[pos];
    const before = first === COLON ? 0 : this.#size;
    // Three more for a byte order mark, which the first line does not count.
    if (before + this.#lineEnd + rest > this.#bytesMax + (this.#firstLine ? 3 : 0))
      this.oversize = true;
  }

  #dispatch(): void {
    if (this.#data !== 'none') {
      this.ready = true;
      this.name = this.#name;
      this.bytes = this.#data === 'read' ? this.#read : this.#held;
      this.start = this.#dataStart;
      this.end = this.#dataEnd;
    }
    this.#size = 0;
    this.#name = '';
    this.#data = 'none';
  }
}

const DATA = Uint8Array.from(Buffer.from('data'));
const EVENT = Uint8Array.from(Buffer.from('event'));
const ID = Uint8Array.from(Buffer.from('id:'));
const ERROR = Uint8Array.from(Buffer.from('error'));

/** A line end that was lost makes the data a part of the name. */
const PLAIN_NAME = /^[ -z|~]*$/;

/** Letters, digits, `-` and `_`: what fields of the future may be called. */
function isFieldName(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    const lower = byte | 0x20;
    const isLetter = lower >= 0x61 && lower <= 0x7a;
    const isDigit = byte >= 0x30 && byte <= 0x39;
    if (!isLetter && !isDigit && byte !== 0x2d && byte !== 0x5f) return false;
  }
  return true;
}

const opensJson = (byte: number | undefined) => byte === 0x7b || byte === 0x5b;

function isWord(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}
