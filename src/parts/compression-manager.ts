/**
 * The guide's CompressionManager, alone: gzip, deflate, brotli and zstd, large inputs off the calling thread, and no bomb on the way back.
 *
 *     const compression = new CompressionManager({ algorithm: 'Brotli', level: 4, minCompressSize: 1024 });
 *     const { bytes, encoding } = await compression.compress(payload);      // 'identity' where it would not pay
 *     const back = await compression.decompress(bytes, encoding);
 */
import { chooseCoder } from '../codec/choice.ts';
import { type CodecName, checkLevel, type Dictionary, levels } from '../codec/codec.ts';
import { MillraceError } from '../errors.ts';
import type { Jobs } from '../threads/jobs.ts';
import type { CompressionJob, CompressionResult } from './compression-jobs.ts';

export type CompressionAlgorithm = 'Gzip' | 'Deflate' | 'Brotli' | 'Zstd';
/** Of a message: how its bytes are to be read. */
export type CompressionEncoding = 'identity' | CodecName;

export interface CompressionManagerOptions {
  /** Default `Gzip`. `Deflate` is the zlib format (RFC 1950). */
  readonly algorithm?: CompressionAlgorithm;
  /** Gzip and Deflate 1 to 9 (6), Brotli 1 to 11 (4), Zstd 1 to 22 (3). */
  readonly level?: number;
  /** Bytes; what is shorter stays as it is. Default 1,024; with a dictionary 0. */
  readonly minCompressSize?: number;
  /** Most bytes that something decompresses to; default 16 MiB. Holds whatever the data says about itself. */
  readonly outputBytesMax?: number;
  /** Inputs from this size on are worked on by another thread; default 16 KiB. */
  readonly offloadBytes?: number;
  /** Those threads, started when first needed; default 2. */
  readonly threadsMax?: number;
  /** Inputs that may wait for them; default 1,000. */
  readonly pendingMax?: number;
  /** Both sides must have it: bytes that inputs resemble. Zstd (trained or plain) and Deflate. Inputs stay on the calling thread then. */
  readonly dictionary?: Uint8Array;
}

export interface Compressed {
  /** The caller's. With `identity` it may be the input itself. */
  readonly bytes: Uint8Array;
  readonly encoding: CompressionEncoding;
}

export interface CompressionStats {
  /** Inputs that became smaller. */
  readonly compressed: number;
  /** Inputs that stayed as they were: short, or not to be made smaller. */
  readonly skipped: number;
  readonly decompressed: number;
  /** Refused: corrupt, cut off, too large. */
  readonly failed: number;
  /** Of all inputs of `compress`. */
  readonly originalBytes: number;
  /** Of all its results. */
  readonly compressedBytes: number;
  /** originalBytes ÷ compressedBytes; 1 before the first. */
  readonly ratio: number;
}

const codecs: Readonly<Record<CompressionAlgorithm, CodecName>> = {
  Gzip: 'gzip',
  Deflate: 'deflate',
  Brotli: 'brotli',
  Zstd: 'zstd',
};
const MIN_COMPRESS_SIZE = 1_024;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const OFFLOAD_BYTES = 16 * 1024;
const THREADS_MAX = 2;
const PENDING_MAX = 1_000;
const fresh = { compressed: 0, skipped: 0, decompressed: 0, failed: 0, from: 0, to: 0 };

export class CompressionManager {
  readonly #codec: CodecName;
  readonly #level: number;
  readonly #minBytes: number;
  readonly #outputBytesMax: number;
  readonly #offloadBytes: number;
  readonly #threadsMax: number;
  readonly #pendingMax: number;
  readonly #dictionary: Dictionary | undefined;
  #jobs: Promise<Jobs> | undefined;
  #pending = 0;
  #counts = { ...fresh };

  /** Throws MILLRACE_CODEC_LEVEL_INVALID, MILLRACE_FIELD_INVALID, or MILLRACE_CODEC_UNAVAILABLE where nothing here serves the algorithm. */
  constructor(options: CompressionManagerOptions = {}) {
    const { algorithm = 'Gzip', dictionary } = options;
    this.#codec = codecOf(algorithm);
    this.#level = options.level ?? levels[this.#codec].normal;
    checkLevel(this.#codec, this.#level);
    this.#minBytes = count(options, 'minCompressSize', dictionary ? 0 : MIN_COMPRESS_SIZE);
    this.#outputBytesMax = count(options, 'outputBytesMax', OUTPUT_BYTES_MAX);
    this.#offloadBytes = count(options, 'offloadBytes', OFFLOAD_BYTES);
    this.#threadsMax = count(options, 'threadsMax', THREADS_MAX, 1);
    this.#pendingMax = count(options, 'pendingMax', PENDING_MAX);
    this.#dictionary = dictionary && named(dictionary);
    chooseCoder(this.#codec, 0, dictionary !== undefined);
  }

  /** Would an input of this size be tried? */
  shouldCompress(data: Uint8Array | string | number): boolean {
    const bytes = typeof data === 'number' ? data : bytesOf(data).byteLength;
    return bytes >= this.#minBytes;
  }

  /** A string counts as its UTF-8. The input is borrowed until the answer. Rejects with MILLRACE_OVERLOADED above `pendingMax`. */
  async compress(data: Uint8Array | string): Promise<Compressed> {
    const input = bytesOf(data);
    let made: Compressed = { bytes: input, encoding: 'identity' };
    if (input.byteLength >= this.#minBytes) {
      const bytes = await this.#compress(input);
      if (bytes.byteLength < input.byteLength) made = { bytes, encoding: this.#codec };
    }
    this.#counts[made.encoding === 'identity' ? 'skipped' : 'compressed'] += 1;
    this.#counts.from += input.byteLength;
    this.#counts.to += made.bytes.byteLength;
    return made;
  }

  /**
   * `encoding`: as `compress` gave it, or as the sender says; default: the manager's own algorithm. Rejects with MILLRACE_COMPRESSED_INVALID,
   * MILLRACE_INFLATED_TOO_LARGE, MILLRACE_FIELD_INVALID (an encoding that is none), MILLRACE_OVERLOADED.
   */
  async decompress(bytes: Uint8Array, encoding?: CompressionEncoding): Promise<Uint8Array> {
    const codec = encoding ?? this.#codec;
    try {
      const made =
        codec === 'identity' ? this.#bounded(bytes) : await this.#decompress(bytes, codec);
      this.#counts.decompressed += 1;
      return made;
    } catch (thrown) {
      this.#counts.failed += 1;
      throw thrown;
    }
  }

  /** How many times smaller: of these two sizes, or of everything so far. */
  compressionRatio(originalBytes?: number, compressedBytes?: number): number {
    const { from, to } = this.#counts;
    const [a, b] = [originalBytes ?? from, compressedBytes ?? to];
    return b === 0 ? 1 : a / b;
  }

  getStats(): CompressionStats {
    const { from, to, ...counts } = this.#counts;
    const ratio = this.compressionRatio();
    return { ...counts, originalBytes: from, compressedBytes: to, ratio };
  }

  resetStats(): void {
    this.#counts = { ...fresh };
  }

  /** Waits for what runs elsewhere, and ends the threads. Using it again starts them again. */
  async close(): Promise<void> {
    const jobs = await this.#jobs;
    this.#jobs = undefined;
    await jobs?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #compress(input: Uint8Array): Promise<Uint8Array> {
    const [codec, level, dictionary] = [this.#codec, this.#level, this.#dictionary];
    if (dictionary || input.byteLength < this.#offloadBytes) {
      const { coder } = chooseCoder(codec, input.byteLength, dictionary !== undefined);
      return coder.compress(input, level, dictionary);
    }
    return this.#elsewhere({ codec, level, bytes: input });
  }

  /** What it becomes is not known before: a short one too may be much work. */
  async #decompress(bytes: Uint8Array, codec: CodecName): Promise<Uint8Array> {
    if (levels[codec] === undefined) {
      const expected = 'identity, gzip, deflate, brotli or zstd';
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'encoding', expected, got: codec });
    }
    const dictionary = codec === this.#codec ? this.#dictionary : undefined;
    const most = this.#outputBytesMax;
    const here = dictionary ? most : Math.min(most, this.#offloadBytes);
    if (dictionary || bytes.byteLength < here) {
      try {
        const has = dictionary !== undefined;
        const { coder } = chooseCoder(codec, bytes.byteLength, has, 'decompress');
        return coder.decompress(bytes, here, dictionary);
      } catch (thrown) {
        const large = (thrown as MillraceError).code === 'MILLRACE_INFLATED_TOO_LARGE';
        if (!large || here >= most) throw thrown;
      }
    }
    return this.#elsewhere({ codec, outputBytesMax: most, bytes });
  }

  #bounded(bytes: Uint8Array): Uint8Array {
    const max = this.#outputBytesMax;
    if (bytes.byteLength > max) throw new MillraceError('MILLRACE_INFLATED_TOO_LARGE', { max });
    return bytes;
  }

  async #elsewhere(job: CompressionJob): Promise<Uint8Array> {
    if (this.#pending >= this.#pendingMax) {
      throw new MillraceError('MILLRACE_OVERLOADED', { bound: 'pendingMax', waitMs: 100 });
    }
    this.#pending += 1;
    try {
      const jobs = await (this.#jobs ??= startJobs(this.#threadsMax));
      const made = (await jobs.run('work', job)) as CompressionResult;
      if ('error' in made) throw MillraceError.fromWire(made.error);
      return made.bytes;
    } finally {
      this.#pending -= 1;
    }
  }
}

/** Loaded when it is needed: a part's import is cheap. */
async function startJobs(threadsMax: number): Promise<Jobs> {
  const { createJobs } = await import('../threads/jobs.ts');
  return createJobs({ threadsMax, entry: new URL('./compression-jobs.js', import.meta.url) });
}

function codecOf(algorithm: unknown): CodecName {
  const codec = codecs[algorithm as CompressionAlgorithm];
  if (codec) return codec;
  const expected = 'Gzip, Deflate, Brotli or Zstd';
  const got = typeof algorithm === 'string' ? algorithm.slice(0, 40) : typeof algorithm;
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'algorithm', expected, got });
}

type Counted = 'minCompressSize' | 'outputBytesMax' | 'offloadBytes' | 'threadsMax' | 'pendingMax';

function count(
  options: CompressionManagerOptions,
  path: Counted,
  fallback: number,
  min = 0,
): number {
  const value = options[path] ?? fallback;
  if (Number.isSafeInteger(value) && value >= min) return value;
  const expected = `a whole number of at least ${min}`;
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path, expected, got: String(value) });
}

function named(bytes: Uint8Array): Dictionary {
  const copy = new Uint8Array(bytes);
  // Only who has a dictionary waits for it: a third of what the import of this part would cost.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return { hash: createHash('sha256').update(copy).digest('hex'), bytes: copy };
}

function bytesOf(data: Uint8Array | string): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof Uint8Array) return data;
  const expected = 'a string or a Uint8Array';
  throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'data', expected, got: typeof data });
}
