/**
 * How much a zstd input can become, from its frames' structure alone (RFC 8878 section 3.1): for a library that has no bound on
 * output. Nothing a header claims is believed; only what each block can regenerate counts.
 */
import { compressedInvalid } from './codec.ts';

/** The library's own bound: 128 MiB, of which only what is written to is ever taken. */
const WINDOW_LOG_MAX = 27;

/** No block regenerates more. */
export const BLOCK_BYTES_MAX = 128 * 1024;

const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_BYTES = [0, 1, 2, 4];

export interface ZstdFrame {
  /** Behind its last byte. */
  readonly end: number;
  /** The most bytes it can become. */
  readonly bound: number;
}

/** The frame at `from`. Throws MILLRACE_COMPRESSED_INVALID where there is none, or not all of it. */
export function zstdFrame(input: Uint8Array, from: number, outputBytesMax: number): ZstdFrame {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  try {
    const frame = walk(view, from, outputBytesMax);
    if (frame.end <= input.byteLength) return frame;
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
  }
  throw compressedInvalid('zstd', 'it ends too early');
}

function walk(view: DataView, from: number, outputBytesMax: number): ZstdFrame {
  const magic = view.getUint32(from, true);
  if (magic >>> 4 === SKIPPABLE >>> 4) {
    return { end: from + 8 + view.getUint32(from + 4, true), bound: 0 };
  }
  if (magic !== FRAME) throw compressedInvalid('zstd', 'no frame begins where one must');
  const descriptor = view.getUint8(from + 4);
  if (descriptor & 0x08) throw compressedInvalid('zstd', 'a reserved bit is set');
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  let at = from + 5;
  let window = single ? outputBytesMax : windowBytes(view.getUint8(at++));
  at += DICTIONARY_BYTES[descriptor & 3];
  // The window of a single segment is its content, of which no more is taken than the bound.
  if (single) window = Math.min(window, contentBytes(view, at, sizeFlag));
  if (single || sizeFlag > 0) at += 1 << sizeFlag;
  const blocks = walkBlocks(view, at, Math.min(BLOCK_BYTES_MAX, window));
  return { end: blocks.end + (descriptor & 4), bound: blocks.bound };
}

function walkBlocks(view: DataView, from: number, blockBytesMax: number): ZstdFrame {
  let at = from;
  let bound = 0;
  for (let last = false; !last; ) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const size = header >>> 3;
    const type = (header >> 1) & 3;
    last = (header & 1) !== 0;
    if (type === 3 || size > BLOCK_BYTES_MAX)
      throw compressedInvalid('zstd', 'a block is no block');
    bound += type === 2 ? blockBytesMax : size;
    at += 3 + (type === 1 ? 1 : size);
  }
  return { end: at, bound };
}

function windowBytes(descriptor: number): number {
  const log = 10 + (descriptor >> 3);
  if (log > WINDOW_LOG_MAX) throw compressedInvalid('zstd', 'its window is too large');
  return 2 ** log + (2 ** log / 8) * (descriptor & 7);
}

function contentBytes(view: DataView, at: number, sizeFlag: number): number {
  if (sizeFlag === 0) return view.getUint8(at);
  if (sizeFlag === 1) return view.getUint16(at, true) + 256;
  if (sizeFlag === 2) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}
