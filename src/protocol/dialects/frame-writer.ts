/**
 * Builds one frame at a time. One per thread is enough: a sink copies before it returns, so the bytes are free again at once.
 */

const BYTES_START = 4 * 1024;
/** After a larger frame the buffer is given back: a thread must not keep the size of its largest answer. */
const BYTES_KEPT_MAX = 256 * 1024;

export class FrameWriter {
  #bytes = Buffer.allocUnsafeSlow(BYTES_START);
  #length = 0;
  /** Text that is not in the bytes yet: joining strings is cheap, encoding each of them is not. */
  #text = '';

  get bytes(): Uint8Array {
    if (this.#text !== '') this.#encode();
    return this.#bytes;
  }

  get length(): number {
    if (this.#text !== '') this.#encode();
    return this.#length;
  }

  reset(): this {
    if (this.#bytes.length > BYTES_KEPT_MAX) this.#bytes = Buffer.allocUnsafeSlow(BYTES_START);
    this.#length = 0;
    this.#text = '';
    return this;
  }

  /** Text as it is: JSON of our own, or a prepared piece of it. */
  text(text: string): this {
    this.#text += text;
    return this;
  }

  json(value: string | number | boolean | null): this {
    return this.text(JSON.stringify(value));
  }

  raw(bytes: Uint8Array, start = 0, end = bytes.length): this {
    if (this.#text !== '') this.#encode();
    if (start === end) return this;
    this.#reserve(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
    return this;
  }

  /** A private copy of what was written. */
  copy(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(0, this.#length));
  }

  #encode(): void {
    const text = this.#text;
    this.#text = '';
    // UTF-16 code units take at most three bytes of UTF-8 each.
    this.#reserve(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
