/**
 * Codecs of Node's own zlib: gzip, deflate, brotli everywhere, zstd from Node 22.15 and 23.8 on. It makes a context per call, which on
 * a token costs more than the compression; the choice of sources (choice.ts) knows by measurement where that matters.
 *
 * Its synchronous calls run on the calling thread. A thread inside one must not be terminated (Node aborts the whole process): the
 * worker sets its `inCodec` cell around them.
 */
import * as zlib from 'node:zlib';
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
import { type ZlibEngine, ZlibFlow } from './zlib-flow.ts';
import { zstdFrame } from './zstd-frame.ts';

/** What a call gives with `info: true`: how much of the input its engine used is the only way to see bytes behind the end. */
interface WithInfo {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

/** Options of all formats at once, as far as they are used here. */
interface ZlibSettings {
  readonly level?: number;
  readonly params?: Readonly<Record<number, number>>;
  readonly dictionary?: Uint8Array;
  readonly maxOutputLength?: number;
  readonly info?: boolean;
}

/** One format of node:zlib under its names there. */
interface Format {
  readonly codec: CodecName;
  readonly dictionary: boolean;
  /** Its transforms see where data was cut off. */
  readonly stream: boolean;
  /** Where the first of several joined pieces of data ends, where the library itself does not go on behind it. */
  readonly pieceEnd?: (input: Uint8Array, from: number, outputBytesMax: number) => number;
  compress(input: Uint8Array, settings: ZlibSettings): Uint8Array;
  decompress(input: Uint8Array, settings: ZlibSettings): unknown;
  compressor(settings: ZlibSettings): ZlibEngine;
  decompressor(settings: ZlibSettings): ZlibEngine;
  settings(level: number, inputBytes: number | undefined): ZlibSettings;
}

const { constants } = zlib;

const gzip: Format = {
  codec: 'gzip',
  dictionary: false,
  stream: true,
  compress: zlib.gzipSync,
  decompress: zlib.gunzipSync,
  compressor: zlib.createGzip,
  decompressor: zlib.createGunzip,
  settings: (level) => ({ level }),
};

const deflate: Format = {
  codec: 'deflate',
  dictionary: true,
  stream: true,
  compress: zlib.deflateSync,
  decompress: zlib.inflateSync,
  compressor: zlib.createDeflate,
  decompressor: zlib.createInflate,
  settings: (level) => ({ level }),
};

const brotli: Format = {
  codec: 'brotli',
  dictionary: false,
  stream: true,
  compress: zlib.brotliCompressSync,
  decompress: zlib.brotliDecompressSync,
  compressor: zlib.createBrotliCompress,
  decompressor: zlib.createBrotliDecompress,
  settings: (level, inputBytes) => ({
    params: {
      [constants.BROTLI_PARAM_QUALITY]: level,
      ...(inputBytes === undefined ? {} : { [constants.BROTLI_PARAM_SIZE_HINT]: inputBytes }),
    },
  }),
};

/** Of ZSTD_cParameter: a number of the format's library, so it cannot change. */
const ZSTD_LEVEL = 100;

function zstd(): Format | undefined {
  const has = zlib as unknown as Readonly<Record<string, never>>;
  if (typeof has['zstdCompressSync'] !== 'function') return undefined;
  const call = (name: string) => has[name] as (...given: readonly unknown[]) => never;
  const compress = call('zstdCompressSync');
  const decompress = call('zstdDecompressSync');
  return {
    codec: 'zstd',
    // Node 24.6 heeds one; those before ignore it in silence.
    dictionary: false,
    stream: seesCuts(compress, decompress),
    pieceEnd: (input, from, outputBytesMax) => zstdFrame(input, from, outputBytesMax).end,
    compress,
    decompress,
    compressor: call('createZstdCompress'),
    decompressor: call('createZstdDecompress'),
    settings: (level) => ({ params: { [ZSTD_LEVEL]: level } }),
  };
}

/** Node 22 takes what was cut off for whole. */
function seesCuts(compress: Format['compress'], decompress: Format['decompress']): boolean {
  const cut = compress(Buffer.from('cut'), {}).subarray(0, -1);
  try {
    decompress(cut, {});
    return false;
  } catch {
    return true;
  }
}

export function loadNodeZlib(): LoadedSource {
  const coders: Partial<Record<CodecName, Coder>> = {};
  for (const format of [gzip, deflate, brotli, zstd()]) {
    if (format) coders[format.codec] = new ZlibCoder(format);
  }
  return { source: { name: 'node-zlib', version: process.versions.zlib, coders } };
}

class ZlibCoder implements Coder {
  readonly codec: CodecName;
  readonly claims: Claims;
  readonly #format: Format;

  constructor(format: Format) {
    this.#format = format;
    this.codec = format.codec;
    const { dictionary, stream } = format;
    this.claims = { oneShot: true, stream, dictionary, outputCap: true, sharedMemory: true };
  }

  compress(input: Uint8Array, level: number, dictionary?: Dictionary): Uint8Array {
    const settings = this.#format.settings(level, input.byteLength);
    return this.#format.compress(input, { ...settings, ...this.#with(dictionary) });
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
    const settings = this.#with(dictionary);
    const { pieceEnd } = this.#format;
    if (!pieceEnd) return this.#piece(input, outputBytesMax, settings);
    const made: Uint8Array[] = [];
    let left = outputBytesMax;
    let at = 0;
    do {
      const end = pieceEnd(input, at, left);
      const piece = this.#piece(input.subarray(at, end), left, settings);
      made.push(piece);
      left -= piece.byteLength;
      at = end;
    } while (at < input.byteLength);
    return made.length === 1 ? made[0] : Buffer.concat(made);
  }

  #piece(input: Uint8Array, outputBytesMax: number, more: ZlibSettings): Uint8Array {
    // The library takes no bound of 0.
    const maxOutputLength = Math.max(1, outputBytesMax);
    const settings = { maxOutputLength, info: true, ...more };
    let done: WithInfo;
    try {
      done = this.#format.decompress(input, settings) as WithInfo;
    } catch (thrown) {
      throw this.#wrap(thrown, outputBytesMax);
    }
    if (done.buffer.byteLength > outputBytesMax) throw inflatedTooLarge(outputBytesMax);
    if (done.engine.bytesWritten < input.byteLength) throw this.#trailing();
    return done.buffer;
  }

  decompressInto(input: Uint8Array, output: Uint8Array, dictionary?: Dictionary): number {
    const made = this.decompress(input, output.byteLength, dictionary);
    output.set(made);
    return made.byteLength;
  }

  compressor(level: number, dictionary?: Dictionary): ZlibFlow {
    const settings = this.#format.settings(level, undefined);
    const engine = this.#format.compressor({ ...settings, ...this.#with(dictionary) });
    return this.#flow(engine, Number.POSITIVE_INFINITY, false);
  }

  decompressor(outputBytesMax: number, dictionary?: Dictionary): ZlibFlow {
    const engine = this.#format.decompressor(this.#with(dictionary));
    return this.#flow(engine, outputBytesMax, true);
  }

  #flow(engine: ZlibEngine, outputBytesMax: number, decompresses: boolean): ZlibFlow {
    return new ZlibFlow({
      engine,
      outputBytesMax,
      wrap: (thrown) => this.#wrap(thrown, outputBytesMax),
      tooLarge: () => inflatedTooLarge(outputBytesMax),
      ...(decompresses ? { trailing: () => this.#trailing() } : {}),
    });
  }

  #with(dictionary: Dictionary | undefined): ZlibSettings {
    if (!dictionary) return {};
    if (this.claims.dictionary) return { dictionary: dictionary.bytes };
    throw codecUnavailable(this.codec, 'node:zlib has no dictionaries for it');
  }

  #trailing(): Error {
    return compressedInvalid(this.codec, 'there are bytes behind its end');
  }

  #wrap(thrown: unknown, outputBytesMax: number): Error {
    const { code, message } = thrown as { code?: string; message: string };
    if (code === 'ERR_BUFFER_TOO_LARGE') return inflatedTooLarge(outputBytesMax);
    return compressedInvalid(this.codec, message);
  }
}
