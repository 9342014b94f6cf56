/**
 * Newline-delimited JSON: one value per line, found in bytes that come in any pieces. The same surface as the event-stream framer,
 * so that a decoder need not know which it drives.
 */

/** Finds events in reads: `open(read)`, `next` until the read is used up, `close()`; `finish()` when the body is over. */
export interface Framer {
  /** An event is there: its data is `bytes[start, end)`, its name ('' without one). Borrowed until the next call. */
  readonly ready: boolean;
  /** An event is larger than allowed: nothing more is read. */
  readonly oversize: boolean;
  /** Something came that may have been an event and cannot be read as one. */
  readonly spoilt: boolean;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Nothing of an event was read yet. */
  readonly between: boolean;
  open(read: Uint8Array): void;
  next(from: number): number;
  skipTo(pos: number): void;
  close(): void;
  finish(): void;
}

const LF = 10;
const NONE = new Uint8Array(0);

export class NdjsonFramer implements Framer {
  ready = false;
  /** Whatever a line says is handed out. */
  readonly spoilt = false;
  oversize = false;
  bytes: Uint8Array = NONE;
  start = 0;
  end = 0;
  readonly name = '';
  readonly #bytesMax: number;
  #read: Uint8Array = NONE;
  /** Where the unfinished line begins in this read. */
  #rest = 0;
  /** What earlier reads held of the line. */
  #held = NONE;
  #heldEnd = 0;

  constructor(eventBytesMax: number) {
    this.#bytesMax = eventBytesMax;
  }

  get between(): boolean {
    return this.#heldEnd === 0;
  }

  open(read: Uint8Array): void {
    this.#read = read;
    this.#rest = 0;
  }

  next(from: number): number {
    const read = this.#read;
    this.ready = false;
    const stop = read.indexOf(LF, from);
    const until = stop < 0 ? read.length : stop;
    if (this.#heldEnd + until - from > this.#bytesMax) {
      this.oversize = true;
      return read.length;
    }
    if (stop < 0) {
      this.#rest = from;
      return read.length;
    }
    if (this.#heldEnd === 0) this.#hand(read, from, stop);
    else {
      this.#keep(from, stop);
      const length = this.#heldEnd;
      this.#heldEnd = 0;
      this.#hand(this.#held, 0, length);
    }
    this.#rest = stop + 1;
    return stop + 1;
  }

  skipTo(pos: number): void {
    this.#rest = pos;
  }

  close(): void {
    if (!this.oversize && this.#rest < this.#read.length) this.#keep(this.#rest, this.#read.length);
    this.#read = NONE;
    this.#rest = 0;
  }

  /** The last line may lack its end. */
  finish(): void {
    this.ready = false;
    if (this.oversize || this.#heldEnd === 0) return;
    const length = this.#heldEnd;
    this.#heldEnd = 0;
    this.#hand(this.#held, 0, length);
  }

  #hand(bytes: Uint8Array, start: number, end: number): void {
    this.ready = true;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  #keep(start: number, end: number): void {
    const length = this.#heldEnd + end - start;
    if (length > this.#held.length) {
      const grown = new Uint8Array(Math.max(1024, 2 * length));
      grown.set(this.#held.subarray(0, this.#heldEnd));
      this.#held = grown;
    }
    this.#held.set(this.#read.subarray(start, end), this.#heldEnd);
    this.#heldEnd = length;
  }
}
