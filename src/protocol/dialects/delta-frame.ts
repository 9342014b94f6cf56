/**
 * The frame of one content part's deltas, built once and filled for every delta:
 *
 *     {"type":"response.output_text.delta","sequence_number":    12    ,"item_id":"msg_0", … ,"delta":"    Hello    "}
 *     └────────────────── before ───────────────────────────┘└ digits ┘└─────────── after ────────────┘└ delta ┘└ tail
 *
 * Everything in front of the delta stays in place between deltas, so a frame costs its digits, its delta and two bytes.
 * The digits have their own width; when it grows (10, 100, …) what stands behind them moves once.
 */
import { copyBytes } from './escaped-text.ts';

const DELTA_BYTES_START = 192;

export class DeltaFrame {
  bytes: Buffer;
  readonly #after: string;
  readonly #afterLength: number;
  readonly #tail: Uint8Array;
  readonly #digitsAt: number;
  #headLength = 0;
  /** First sequence number that no longer fits the digits. */
  #limit = 0;

  /** `after` undefined: frames carry no number, `before` ends right in front of the delta. */
  constructor(before: string, after: string | undefined, tail: Uint8Array) {
    this.#after = after ?? '';
    this.#afterLength = Buffer.byteLength(this.#after);
    this.#tail = tail;
    this.#digitsAt = Buffer.byteLength(before);
    const room = this.#digitsAt + 4 + this.#afterLength + DELTA_BYTES_START;
    this.bytes = Buffer.allocUnsafeSlow(room);
    this.bytes.write(before);
    if (after === undefined) {
      this.#headLength = this.#digitsAt;
      this.#limit = Number.POSITIVE_INFINITY;
    }
  }

  /** Puts number and delta in place; the frame is `bytes` up to the length returned. Numbers only grow. */
  fill(sequence: number, delta: Uint8Array, start: number, end: number): number {
    if (sequence >= this.#limit) this.#widen(sequence);
    const after = this.#headLength - this.#afterLength;
    let rest = sequence;
    for (let at = after - 1; at >= this.#digitsAt; at--) {
      const tenth = (rest / 10) | 0;
      this.bytes[at] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    const deltaEnd = this.#headLength + end - start;
    const length = deltaEnd + this.#tail.length;
    if (length > this.bytes.length) this.#grow(length);
    copyBytes(delta, start, end, this.bytes, this.#headLength);
    copyBytes(this.#tail, 0, this.#tail.length, this.bytes, deltaEnd);
    return length;
  }

  #widen(sequence: number): void {
    const width = String(sequence).length;
    this.#limit = 10 ** width;
    this.#headLength = this.#digitsAt + width + this.#afterLength;
    if (this.#headLength > this.bytes.length) this.#grow(this.#headLength);
    this.bytes.write(this.#after, this.#digitsAt + width);
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(length, this.bytes.length * 2));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}
