/**
 * zstd by @toondepauw/node-zstd: prebuilt, installs without scripts, whole inputs only, a context per call. It has no bound on
 * output: an input is decompressed only if its structure shows that it cannot become more (zstd-frame.ts). That refuses what a
 * flushed flow made, because each of its small blocks might be a full one.
 */
import { createRequire } from 'node:module';
import type { Decoder, Encoder } from '@toondepauw/node-zstd';
import {
  type Claims,
  type Coder,
  compressedInvalid,
  type Dictionary,
  DOES_NOT_FIT,
  inflatedTooLarge,
  type LoadedSource,
  whyNot,
} from './codec.ts';
import { BLOCK_BYTES_MAX, zstdFrame } from './zstd-frame.ts';

interface NodeZstd {
  readonly Encoder: typeof Encoder;
  readonly Decoder: typeof Decoder;
}

export function loadNodeZstd(): LoadedSource {
  const require = createRequire(import.meta.url);
  try {
    const library = require('@toondepauw/node-zstd') as NodeZstd;
    const { version } = require('@toondepauw/node-zstd/package.json') as { version: string };
    const coders = { zstd: new NodeZstdCoder(library) };
    return { source: { name: 'node-zstd', version, coders } };
  } catch (thrown) {
    return { reason: whyNot(thrown) };
  }
}

/** Encoders by level, and the decoder, of a dictionary or of none. */
interface Prepared {
  readonly encoders: Map<number, Encoder>;
  decoder: Decoder | undefined;
}

class NodeZstdCoder implements Coder {
  readonly codec = 'zstd';
  readonly claims: Claims = {
    oneShot: true,
    stream: false,
    dictionary: true,
    outputCap: true,
    sharedMemory: false,
  };
  readonly #library: NodeZstd;
  readonly #plain: Prepared = { encoders: new Map(), decoder: undefined };
  readonly #prepared = new WeakMap<Dictionary, Prepared>();

  constructor(library: NodeZstd) {
    this.#library = library;
  }

  compress(input: Uint8Array, level: number, dictionary?: Dictionary): Uint8Array {
    const { encoders } = this.#of(dictionary);
    let encoder = encoders.get(level);
    if (!encoder) {
      encoder = new this.#library.Encoder(level, dictionary && asBuffer(dictionary.bytes));
      encoders.set(level, encoder);
    }
    return encoder.encodeSync(asBuffer(input));
  }

  compressInto(
    input: Uint8Array,
    output: Uint8Array,
    level: number,
    dictionary?: Dictionary,
  ): number {
    const made = this.compress(input, level, dictionary);
    if (made.byteLength > output.byteLength) return DOES_NOT_FIT;
    output.set(made);
    return made.byteLength;
  }

  decompress(input: Uint8Array, outputBytesMax: number, dictionary?: Dictionary): Uint8Array {
    const prepared = this.#of(dictionary);
    prepared.decoder ??= new this.#library.Decoder(dictionary && asBuffer(dictionary.bytes));
    const made: Uint8Array[] = [];
    let left = outputBytesMax;
    let at = 0;
    do {
      const { end, bound } = zstdFrame(input, at, left);
      if (bound > left + BLOCK_BYTES_MAX) throw inflatedTooLarge(outputBytesMax);
      made.push(decode(prepared.decoder, input.subarray(at, end)));
      left -= made[made.length - 1].byteLength;
      if (left < 0) throw inflatedTooLarge(outputBytesMax);
      at = end;
    } while (at < input.byteLength);
    return made.length === 1 ? made[0] : Buffer.concat(made);
  }

  decompressInto(input: Uint8Array, output: Uint8Array, dictionary?: Dictionary): number {
    const made = this.decompress(input, output.byteLength, dictionary);
    output.set(made);
    return made.byteLength;
  }

  #of(dictionary: Dictionary | undefined): Prepared {
    if (!dictionary) return this.#plain;
    let prepared = this.#prepared.get(dictionary);
    if (!prepared) {
      prepared = { encoders: new Map(), decoder: undefined };
      this.#prepared.set(dictionary, prepared);
    }
    return prepared;
  }
}

function decode(decoder: Decoder, frame: Uint8Array): Uint8Array {
  try {
    return decoder.decodeSync(asBuffer(frame));
  } catch (thrown) {
    throw compressedInvalid('zstd', (thrown as Error).message);
  }
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength);
