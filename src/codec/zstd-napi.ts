/**
 * zstd by zstd-napi: its thin binding, so that contexts and prepared dictionaries are kept and outputs have bounds. (Its own
 * `decompress` believes a frame's header and has no bound.) Safe in a thread that is terminated.
 */
import { createRequire } from 'node:module';
import type * as Zstd from 'zstd-napi/binding.js';
import {
  type Claims,
  type Coder,
  compressedInvalid,
  type Dictionary,
  DOES_NOT_FIT,
  type Flow,
  inflatedTooLarge,
  type LoadedSource,
  whyNot,
} from './codec.ts';
import { ZstdNapiCompressor, ZstdNapiDecompressor } from './zstd-napi-flow.ts';

export type ZstdBinding = typeof Zstd;

/** Outputs up to here are made in one place that is kept, and copied out in their exact length. */
const SCRATCH_BYTES = 128 * 1024;
/** A context keeps the memory of its hardest work: above this level that may be hundreds of megabytes, so it is not kept. */
const KEPT_LEVEL_MAX = 9;
/** How much longer the output is believed to be where a frame does not say. */
const GUESS = 4;
const TOO_SMALL = 'Destination buffer is too small';

export function loadZstdNapi(): LoadedSource {
  try {
    const binding = createRequire(import.meta.url)('zstd-napi/binding.js') as ZstdBinding;
    const coders = { zstd: new ZstdNapiCoder(binding) };
    return { source: { name: 'zstd-napi', version: binding.versionString(), coders } };
  } catch (thrown) {
    return { reason: whyNot(thrown) };
  }
}

/** What a dictionary became, by the level it was prepared for. */
interface Prepared {
  readonly byLevel: Map<number, Zstd.CDict>;
  decoding: Zstd.DDict | undefined;
}

class ZstdNapiCoder implements Coder {
  readonly codec = 'zstd';
  readonly claims: Claims = {
    oneShot: true,
    stream: true,
    dictionary: true,
    outputCap: true,
    sharedMemory: true,
  };
  readonly #zstd: ZstdBinding;
  readonly #compressing: Zstd.CCtx;
  readonly #decompressing: Zstd.DCtx;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #prepared = new WeakMap<Dictionary, Prepared>();

  constructor(zstd: ZstdBinding) {
    this.#zstd = zstd;
    this.#compressing = new zstd.CCtx();
    this.#decompressing = new zstd.DCtx();
  }

  compress(input: Uint8Array, level: number, dictionary?: Dictionary): Uint8Array {
    const bound = this.#zstd.compressBound(input.byteLength);
    if (bound > SCRATCH_BYTES) {
      const output = Buffer.allocUnsafeSlow(bound);
      const length = this.#compress(input, output, level, dictionary);
      // A copy where the rest would be wasted.
      return length < 0.75 * bound
        ? Buffer.from(output.subarray(0, length))
        : output.subarray(0, length);
    }
    return this.#scratch.slice(0, this.#compress(input, this.#scratch, level, dictionary));
  }

  compressInto(
    input: Uint8Array,
    output: Uint8Array,
    level: number,
    dictionary?: Dictionary,
  ): number {
    try {
      return this.#compress(input, output, level, dictionary);
    } catch (thrown) {
      if ((thrown as Error).message === TOO_SMALL) return DOES_NOT_FIT;
      throw thrown;
    }
  }

  decompress(input: Uint8Array, outputBytesMax: number, dictionary?: Dictionary): Uint8Array {
    let room = Math.min(this.#declared(input, outputBytesMax), outputBytesMax);
    for (;;) {
      const scratch = room <= SCRATCH_BYTES;
      // Also a short output may use all of the scratch, if its bound allows.
      const place = scratch
        ? this.#scratch.subarray(0, Math.min(SCRATCH_BYTES, outputBytesMax))
        : Buffer.allocUnsafeSlow(room);
      const length = this.#decompress(input, place, dictionary);
      if (length !== DOES_NOT_FIT) {
        return scratch ? this.#scratch.slice(0, length) : place.subarray(0, length);
      }
      if (place.byteLength >= outputBytesMax) throw inflatedTooLarge(outputBytesMax);
      room = Math.min(outputBytesMax, GUESS * place.byteLength);
    }
  }

  decompressInto(input: Uint8Array, output: Uint8Array, dictionary?: Dictionary): number {
    const length = this.#decompress(input, output, dictionary);
    if (length === DOES_NOT_FIT) throw inflatedTooLarge(output.byteLength);
    return length;
  }

  compressor(level: number, dictionary?: Dictionary): Flow {
    const context = new this.#zstd.CCtx();
    context.setParameter(this.#zstd.CParameter.compressionLevel, level);
    if (dictionary) context.loadDictionary(dictionary.bytes);
    return new ZstdNapiCompressor(this.#zstd, context);
  }

  decompressor(outputBytesMax: number, dictionary?: Dictionary): Flow {
    const context = new this.#zstd.DCtx();
    if (dictionary) context.loadDictionary(dictionary.bytes);
    return new ZstdNapiDecompressor(this.#zstd, context, outputBytesMax);
  }

  #compress(
    input: Uint8Array,
    output: Uint8Array,
    level: number,
    dictionary: Dictionary | undefined,
  ): number {
    const context = level <= KEPT_LEVEL_MAX ? this.#compressing : new this.#zstd.CCtx();
    if (!dictionary) return context.compress(output, input, level);
    const { byLevel } = this.#prepare(dictionary);
    let prepared = byLevel.get(level);
    if (!prepared) {
      prepared = new this.#zstd.CDict(dictionary.bytes, level);
      byLevel.set(level, prepared);
    }
    return context.compressUsingCDict(output, input, prepared);
  }

  #decompress(input: Uint8Array, output: Uint8Array, dictionary: Dictionary | undefined): number {
    // To the library, nothing is no frame at all, and fine.
    if (input.byteLength === 0) throw compressedInvalid('zstd', 'it is empty');
    try {
      if (!dictionary) return this.#decompressing.decompress(output, input);
      const prepared = this.#prepare(dictionary);
      prepared.decoding ??= new this.#zstd.DDict(dictionary.bytes);
      return this.#decompressing.decompressUsingDDict(output, input, prepared.decoding);
    } catch (thrown) {
      const { message } = thrown as Error;
      if (message === TOO_SMALL) return DOES_NOT_FIT;
      throw compressedInvalid('zstd', message);
    }
  }

  #prepare(dictionary: Dictionary): Prepared {
    let prepared = this.#prepared.get(dictionary);
    if (!prepared) {
      prepared = { byLevel: new Map(), decoding: undefined };
      this.#prepared.set(dictionary, prepared);
    }
    return prepared;
  }

  /** What the first frame says about its output: a hint where to begin, never believed. */
  #declared(input: Uint8Array, outputBytesMax: number): number {
    let declared: number | null;
    try {
      declared = this.#zstd.getFrameContentSize(input);
    } catch {
      // Too short, no frame, or larger than a number can be: decompressing says which.
      return 0;
    }
    if (declared !== null && declared > outputBytesMax) throw inflatedTooLarge(outputBytesMax);
    return declared ?? GUESS * input.byteLength;
  }
}
