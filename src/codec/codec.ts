/**
 * The contract of compression: four codecs, each from one or more sources (node:zlib, zstd-napi, node-zstd, the native addon), one
 * behaviour, one suite (test/unit/codec/contract.test.ts) that runs what each source claims.
 *
 *   source ──▶ coder of a codec ──▶ compress / decompress    whole inputs, synchronous, contexts kept by the source
 *                              └──▶ compressor / decompressor  a flow: push, flush, end
 *
 * Everything that decompresses has a bound on its output that holds whatever the input says about itself. What a stranger's bytes can
 * do wrong is one of two errors: MILLRACE_COMPRESSED_INVALID (cut off, corrupt, another dictionary, bytes behind the end) or
 * MILLRACE_INFLATED_TOO_LARGE. Concatenated members are one input where the format has them (gzip, zstd); their sum is bounded.
 *
 * `deflate` means the zlib format (RFC 1950), as HTTP and DecompressionStream do.
 */
import { MillraceError } from '../errors.ts';

export const codecNames = ['gzip', 'deflate', 'brotli', 'zstd'] as const;
export type CodecName = (typeof codecNames)[number];

export type SourceName = 'native' | 'zstd-napi' | 'node-zlib' | 'node-zstd';

/** Levels of a codec. 22 is zstd's last, though the guide ends at 21. */
export interface Levels {
  readonly min: number;
  readonly max: number;
  readonly normal: number;
}

export const levels: Readonly<Record<CodecName, Levels>> = {
  gzip: { min: 1, max: 9, normal: 6 },
  deflate: { min: 1, max: 9, normal: 6 },
  brotli: { min: 1, max: 11, normal: 4 },
  zstd: { min: 1, max: 22, normal: 3 },
};

/** What a source can do with a codec. The suite runs what is claimed. */
export interface Claims {
  /** compress, compressInto, decompress, decompressInto. */
  readonly oneShot: boolean;
  /** compressor, decompressor. */
  readonly stream: boolean;
  /** The dictionary arguments are heeded; otherwise giving one throws MILLRACE_CODEC_UNAVAILABLE. */
  readonly dictionary: boolean;
  /** The bound on output holds while it decompresses, not only at the end: no more memory than that is ever taken for output. */
  readonly outputCap: boolean;
  /** Inputs and outputs may lie in shared memory. Otherwise the caller copies. */
  readonly sharedMemory: boolean;
}

/** A shared start that both sides know. One object per dictionary and thread: sources keep what they make of it by identity. */
export interface Dictionary {
  /** The SHA-256 of its bytes, in hex. */
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** `compressInto` found the output too small: an ordinary answer, because a caller sends the input as it is then. */
export const DOES_NOT_FIT = -1;

export type Soon<T> = T | Promise<T>;

/**
 * A flow of bytes through a codec. One call at a time: the answer is awaited before the next one. The bytes an answer holds are the
 * caller's; those given are borrowed until the answer. After an error, `end` or `close` it is of no use.
 */
export interface Flow {
  /** Takes bytes, gives what came out so far, perhaps nothing. */
  push(input: Uint8Array): Soon<Uint8Array>;
  /** Gives all that the input so far amounts to, so that the other side can read it. A decompressor has nothing to add. */
  flush(): Soon<Uint8Array>;
  /** The input is complete: gives the rest. A decompressor throws if something is missing. */
  end(): Soon<Uint8Array>;
  /** Gives up what it holds. Idempotent; also after `end`. */
  close(): void;
}

/** One codec of one source, on one thread. */
export interface Coder {
  readonly codec: CodecName;
  readonly claims: Claims;
  /** The bytes are the caller's. Levels are checked by the caller (`checkLevel`). */
  compress(input: Uint8Array, level: number, dictionary?: Dictionary): Uint8Array;
  /** Into the caller's memory, which may be longer. Gives the length, or DOES_NOT_FIT; then what `output` holds means nothing. */
  compressInto(
    input: Uint8Array,
    output: Uint8Array,
    level: number,
    dictionary?: Dictionary,
  ): number;
  /** Throws MILLRACE_INFLATED_TOO_LARGE above `outputBytesMax`. The bytes are the caller's. */
  decompress(input: Uint8Array, outputBytesMax: number, dictionary?: Dictionary): Uint8Array;
  /** Into the caller's memory, whose length is the bound. Gives the length. */
  decompressInto(input: Uint8Array, output: Uint8Array, dictionary?: Dictionary): number;
  /** Present where `claims.stream`. */
  compressor?(level: number, dictionary?: Dictionary): Flow;
  decompressor?(outputBytesMax: number, dictionary?: Dictionary): Flow;
}

/** A library with what it offers. */
export interface CodecSource {
  readonly name: SourceName;
  readonly version: string;
  readonly coders: Readonly<Partial<Record<CodecName, Coder>>>;
}

/** What becomes of loading a source: itself, or one sentence why not. Never throws. */
export type LoadedSource =
  | { readonly source: CodecSource; readonly reason?: undefined }
  | { readonly source?: undefined; readonly reason: string };

/** Throws MILLRACE_CODEC_LEVEL_INVALID unless it is a whole number in the codec's range. */
export function checkLevel(codec: CodecName, level: number): void {
  const { min, max } = levels[codec];
  if (Number.isInteger(level) && level >= min && level <= max) return;
  const got = String(level).slice(0, 40);
  throw new MillraceError('MILLRACE_CODEC_LEVEL_INVALID', { codec, min, max, got });
}

/** The three ways a codec fails, so that all sources say the same. */
export function compressedInvalid(codec: CodecName, reason: string): MillraceError {
  return new MillraceError('MILLRACE_COMPRESSED_INVALID', { codec, reason });
}

export function inflatedTooLarge(max: number): MillraceError {
  return new MillraceError('MILLRACE_INFLATED_TOO_LARGE', { max });
}

export function codecUnavailable(codec: string, reason: string): MillraceError {
  return new MillraceError('MILLRACE_CODEC_UNAVAILABLE', { codec, reason });
}

/** Why a library did not load, in one line. */
export function whyNot(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0];
}
