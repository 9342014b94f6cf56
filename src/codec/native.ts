/** The native addon as a source: all four codecs, whole inputs only. What it keeps between calls, it keeps per thread. */
import { Bug, must } from '../must.ts';
import {
  type Claims,
  type CodecName,
  type Coder,
  codecUnavailable,
  compressedInvalid,
  type Dictionary,
  DOES_NOT_FIT,
  inflatedTooLarge,
  type LoadedSource,
} from './codec.ts';
import {
  addonFailure,
  loadAddon,
  type NativeAddon,
  type PreparedDictionary,
} from './native-addon.ts';

/** The numbers of native/src/run.rs. */
const numbers: Readonly<Record<CodecName, number>> = { gzip: 0, deflate: 1, brotli: 2, zstd: 3 };

/** Outputs up to here are made in one place per thread that is kept, and copied out in their exact length. */
const SCRATCH_BYTES = 128 * 1024;
/** How much longer than its input an output is believed to be, and by how much more after each try that was too small. */
const GUESS = 4;

export function loadNative(): LoadedSource {
  const addon = loadAddon();
  if (typeof addon === 'string') return { reason: addon };
  const scratch = new Uint8Array(SCRATCH_BYTES);
  const coder = (codec: CodecName) => new NativeCoder(addon, codec, scratch);
  const coders = {
    gzip: coder('gzip'),
    deflate: coder('deflate'),
    brotli: coder('brotli'),
    zstd: coder('zstd'),
  };
  return { source: { name: 'native', version: addon.versions(), coders } };
}

/** What the addon made of a dictionary: for each level, and for decompressing (0). */
type ByLevel = Map<number, PreparedDictionary>;

class NativeCoder implements Coder {
  readonly codec: CodecName;
  readonly claims: Claims;
  readonly #addon: NativeAddon;
  readonly #number: number;
  readonly #scratch: Uint8Array;
  readonly #prepared = new WeakMap<Dictionary, ByLevel>();

  constructor(addon: NativeAddon, codec: CodecName, scratch: Uint8Array) {
    this.codec = codec;
    this.#addon = addon;
    this.#number = numbers[codec];
    this.#scratch = scratch;
    // libdeflate knows no dictionaries, and brotli's are none that other sources here could read.
    const dictionary = codec === 'zstd';
    this.claims = { oneShot: true, stream: false, dictionary, outputCap: true, sharedMemory: true };
  }

  compress(input: Uint8Array, level: number, dictionary?: Dictionary): Uint8Array {
    // More than any of the formats adds to what cannot be compressed.
    const bound = input.byteLength + (input.byteLength >> 6) + 1_024;
    const place = bound <= SCRATCH_BYTES ? this.#scratch : Buffer.allocUnsafeSlow(bound);
    const length = this.compressInto(input, place, level, dictionary);
    must(length !== DOES_NOT_FIT, `${this.codec} made more than ${bound} of ${input.byteLength}`);
    return this.#result(place, length);
  }

  compressInto(
    input: Uint8Array,
    output: Uint8Array,
    level: number,
    dictionary?: Dictionary,
  ): number {
    const prepared = dictionary ? this.#prepare(dictionary, level) : null;
    const answer = this.#addon.compressInto(
      this.#number,
      level,
      input,
      0,
      input.byteLength,
      output,
      0,
      output.byteLength,
      prepared,
    );
    if (answer >= 0 || answer === DOES_NOT_FIT) return answer;
    throw this.#failure(answer);
  }

  decompress(input: Uint8Array, outputBytesMax: number, dictionary?: Dictionary): Uint8Array {
    let room = Math.min(outputBytesMax, GUESS * input.byteLength);
    for (;;) {
      // Also a short output may use all of the scratch, if its bound allows.
      const place =
        room <= SCRATCH_BYTES
          ? this.#scratch.subarray(0, Math.min(SCRATCH_BYTES, outputBytesMax))
          : Buffer.allocUnsafeSlow(room);
      const length = this.#decompress(input, place, dictionary);
      if (length !== addonFailure.full) return this.#result(place, length);
      if (place.byteLength >= outputBytesMax) throw inflatedTooLarge(outputBytesMax);
      room = Math.min(outputBytesMax, GUESS * place.byteLength);
    }
  }

  decompressInto(input: Uint8Array, output: Uint8Array, dictionary?: Dictionary): number {
    const length = this.#decompress(input, output, dictionary);
    if (length === addonFailure.full) throw inflatedTooLarge(output.byteLength);
    return length;
  }

  /** The caller's own bytes: a copy out of the scratch, or where the rest of a place would be wasted. */
  #result(place: Uint8Array, length: number): Uint8Array {
    const made = place.subarray(0, length);
    const own = place.buffer !== this.#scratch.buffer && length >= 0.75 * place.byteLength;
    return own ? made : new Uint8Array(made);
  }

  /** Bytes written, or addonFailure.full. */
  #decompress(input: Uint8Array, output: Uint8Array, dictionary: Dictionary | undefined): number {
    const prepared = dictionary ? this.#prepare(dictionary, 0) : null;
    const answer = this.#addon.decompressInto(
      this.#number,
      input,
      0,
      input.byteLength,
      output,
      0,
      output.byteLength,
      prepared,
    );
    if (answer >= 0 || answer === addonFailure.full) return answer;
    throw this.#failure(answer);
  }

  #prepare(dictionary: Dictionary, level: number): PreparedDictionary {
    if (!this.claims.dictionary) {
      throw codecUnavailable(this.codec, 'the native addon has no dictionaries for it');
    }
    let byLevel = this.#prepared.get(dictionary);
    if (!byLevel) {
      byLevel = new Map();
      this.#prepared.set(dictionary, byLevel);
    }
    let prepared = byLevel.get(level);
    if (!prepared) {
      prepared = this.#addon.prepareDictionary(dictionary.bytes, level);
      byLevel.set(level, prepared);
    }
    return prepared;
  }

  #failure(answer: number): Error {
    switch (answer) {
      case addonFailure.corrupt:
        return compressedInvalid(this.codec, 'cut off or corrupt');
      case addonFailure.dictionary:
        return compressedInvalid(this.codec, 'made with another dictionary');
      case addonFailure.memory:
        return codecUnavailable(this.codec, 'no memory');
      case addonFailure.range:
        return new Bug('input and output of a codec overlap, or exceed 2 GiB');
      default:
        // Levels are checked by the caller.
        return new Bug(`the native addon answered ${answer}`);
    }
  }
}
