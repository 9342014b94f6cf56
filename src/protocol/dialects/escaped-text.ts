/** The text of one content part so far: the escaped body of a JSON string, kept as the bytes it came in. */

/** One for all: most parts of most answers stay empty. */
const NONE = new Uint8Array(0);
const BYTES_START = 256;
/** Below this a loop beats `set`, which needs a view made for it. */
const LOOP_BYTES_MAX = 96;

export class EscapedText {
  #bytes = NONE;
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) this.#grow(needed);
    copyBytes(bytes, start, end, this.#bytes, this.#length);
    this.#length = needed;
  }

  /** The text itself. */
  decode(): string {
    if (this.#length === 0) return '';
    const { buffer, byteOffset } = this.#bytes;
    return JSON.parse(
      `"${Buffer.from(buffer, byteOffset, this.#length).toString('utf8')}"`,
    ) as string;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2, BYTES_START));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Deltas are a few bytes long, so the copy is a loop; `to` must have the room. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): void {
  if (end - start > LOOP_BYTES_MAX) {
    to.set(from.subarray(start, end), at);
    return;
  }
  const shift = at - start;
  for (let index = start; index < end; index++) to[index + shift] = from[index];
}
