/**
 * Stage ⑥: frames of sessions that asked for it, compressed between the tap, which numbers them, and the ring. What is replayed, resumed
 * or buried is never compressed. Where it is done follows from size: here, or, where it would hold up this worker's other streams,
 * in the jobs pool; never on main.
 */

import { chooseCoder, codecOf, inlineBytesMax } from '../codec/choice.ts';
import {
  type CodecName,
  type Coder,
  type Dictionary,
  DOES_NOT_FIT,
  levels,
} from '../codec/codec.ts';
import { DICTIONARY_LEVEL, loadDictionary } from '../codec/dictionaries.ts';
import type { EncodingName } from '../codec/negotiate.ts';
import { asMillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { CodecParts } from './codec.ts';
import type { CompressJob } from './jobs.ts';

/** `undefined`: the frame goes as it is. */
export type Packed = Uint8Array | undefined;

/** Of one session. */
export interface Packer {
  /** The answer is borrowed until the next call on this thread. A promise where another thread does it. */
  pack(frame: Uint8Array): Packed | Promise<Packed>;
}

/** Frames that are compressed here are made in this place. */
const SCRATCH_BYTES = 288 * 1024;

/** One per worker. */
export class Compress {
  readonly #parts: CodecParts;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);

  constructor(parts: CodecParts) {
    this.#parts = parts;
  }

  packer(encoding: EncodingName, hash: string | undefined): Packer {
    const dictionary = hash === undefined ? undefined : loadDictionary(hash);
    return { pack: (frame) => this.#pack(frame, encoding, dictionary) };
  }

  #pack(
    frame: Uint8Array,
    encoding: EncodingName,
    dictionary: Dictionary | undefined,
  ): Packed | Promise<Packed> {
    const { compression } = this.#parts.options();
    const { byteLength } = frame;
    if (!dictionary && byteLength < compression.minCompressSize) return undefined;
    const codec = codecOf(encoding);
    const level = dictionary ? DICTIONARY_LEVEL : levelOf(compression, codec);
    // A dictionary has a level of its own, and what it is for is short.
    if (byteLength > inlineBytesMax(codec, dictionary ? levels.zstd.normal : level)) {
      return this.#elsewhere(frame, encoding, { codec, level, hash: dictionary?.hash });
    }
    const { coder, blocks } = chooseCoder(codec, byteLength, dictionary !== undefined);
    if (blocks) this.#parts.inCodec(true);
    try {
      return this.#here(frame, encoding, coder, level, dictionary);
    } catch (thrown) {
      // A frame that cannot be compressed is still a frame.
      this.#parts.fault(thrown);
      return undefined;
    } finally {
      if (blocks) this.#parts.inCodec(false);
    }
  }

  #here(
    frame: Uint8Array,
    encoding: EncodingName,
    coder: Coder,
    level: number,
    dictionary: Dictionary | undefined,
  ): Packed {
    const length = coder.compressInto(frame, this.#scratch, level, dictionary);
    if (length === DOES_NOT_FIT || length >= frame.byteLength) return undefined;
    this.#parts.tally.packed(encoding, 'out', frame.byteLength, length);
    return this.#scratch.subarray(0, length);
  }

  async #elsewhere(
    frame: Uint8Array,
    encoding: EncodingName,
    how: Omit<CompressJob, 'bytes'>,
  ): Promise<Packed> {
    // The frame is borrowed.
    const bytes = new Uint8Array(frame);
    try {
      const made = (await this.#parts.job('compress', { ...how, bytes })) as Uint8Array;
      if (made.byteLength >= bytes.byteLength) return undefined;
      this.#parts.tally.packed(encoding, 'out', bytes.byteLength, made.byteLength);
      return made;
    } catch (thrown) {
      this.#parts.fault(asMillraceError(thrown));
      return undefined;
    }
  }
}

function levelOf(compression: Options['compression'], codec: CodecName): number {
  const { gzipLevel, deflateLevel, brotliLevel, zstdLevel } = compression;
  return { gzip: gzipLevel, deflate: deflateLevel, brotli: brotliLevel, zstd: zstdLevel }[codec];
}
