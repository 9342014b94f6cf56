/** The floor's ring: 8-byte header (length, slot), no credit, no sleep states but one. Not for use: it throws when full. */
import { must } from '../../../src/must.ts';

const HEAD = 0;
const TAIL = 16;
const RUNG = 32;
const CONTROL_BYTES = 256;

export function miniRing(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_BYTES + bytes);
}

const padded = (length: number) => (8 + length + 7) & -8;

export class MiniWriter {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  readonly #bell: () => void;
  #head = 0;

  constructor(ring: SharedArrayBuffer, bell: () => void) {
    this.#words = new Int32Array(ring);
    this.#bytes = new Uint8Array(ring);
    this.#capacity = ring.byteLength - CONTROL_BYTES;
    this.#bell = bell;
  }

  /** Where `length` bytes may be written now; `publish` makes them seen. */
  place(length: number): number {
    const toEnd = this.#capacity - (this.#head & (this.#capacity - 1));
    if (padded(length) > toEnd) {
      this.#words[(CONTROL_BYTES + (this.#head & (this.#capacity - 1))) >> 2] = -1;
      this.#head = (this.#head + toEnd) | 0;
    }
    const used = (this.#head - Atomics.load(this.#words, TAIL)) | 0;
    must(used + padded(length) < this.#capacity, 'the floor has room');
    return CONTROL_BYTES + (this.#head & (this.#capacity - 1)) + 8;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  publish(slot: number, length: number): void {
    const at = (CONTROL_BYTES + (this.#head & (this.#capacity - 1))) >> 2;
    this.#words[at] = length;
    this.#words[at + 1] = slot;
    this.#head = (this.#head + padded(length)) | 0;
    Atomics.store(this.#words, HEAD, this.#head);
  }

  flush(): void {
    if (Atomics.exchange(this.#words, RUNG, 1) === 0) this.#bell();
  }
}

export class MiniReader {
  readonly #ring: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #capacity: number;
  #tail = 0;

  constructor(ring: SharedArrayBuffer) {
    this.#ring = ring;
    this.#words = new Int32Array(ring);
    this.#capacity = ring.byteLength - CONTROL_BYTES;
  }

  drain(each: (slot: number, bytes: Uint8Array) => void): void {
    Atomics.store(this.#words, RUNG, 0);
    const head = Atomics.load(this.#words, HEAD);
    while (this.#tail !== head) {
      const position = this.#tail & (this.#capacity - 1);
      const at = (CONTROL_BYTES + position) >> 2;
      const length = this.#words[at];
      if (length === -1) {
        this.#tail = (this.#tail + this.#capacity - position) | 0;
        continue;
      }
      each(this.#words[at + 1], new Uint8Array(this.#ring, CONTROL_BYTES + position + 8, length));
      this.#tail = (this.#tail + padded(length)) | 0;
    }
    Atomics.store(this.#words, TAIL, this.#tail);
  }
}
