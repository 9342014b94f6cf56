/**
 * The addon of native/ (Rust: libdeflate, brotli, zstd), as it is loaded: per thread, from where `npm run build:native` puts it. It is
 * optional. MILLRACE_NATIVE=0 leaves it out.
 *
 * All its functions are synchronous and may run on any number of threads at once. Who owns the bytes: while a call runs, its input and
 * its output belong to that call alone, also in shared memory: no other thread may write the input, or read or write the output. A
 * ring slot between reserve and commit is such memory. Nothing is copied.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A dictionary digested by the addon; freed when it is collected. Valid on the thread that made it. */
export type PreparedDictionary = { readonly prepared: unique symbol };

/**
 * Answers are bytes written, or a failure's number (native/src/status.rs). Ranges are [from, to) of the input and [start, end) of the
 * output, so that a place in a ring needs no object of its own. zstd may find an output too small that would just do: it wants some
 * bytes to spare while it works.
 */
export interface NativeAddon {
  compressInto(
    codec: number,
    level: number,
    input: Uint8Array,
    from: number,
    to: number,
    output: Uint8Array,
    start: number,
    end: number,
    dictionary: PreparedDictionary | null,
  ): number;
  decompressInto(
    codec: number,
    input: Uint8Array,
    from: number,
    to: number,
    output: Uint8Array,
    start: number,
    end: number,
    dictionary: PreparedDictionary | null,
  ): number;
  /** Once per row [from, to, start, end, answer] of `table`; a row that fails stops no other. Gives how many succeeded. */
  compressBatch(
    codec: number,
    level: number,
    input: Uint8Array,
    output: Uint8Array,
    table: Uint32Array,
    dictionary: PreparedDictionary | null,
  ): number;
  decompressBatch(
    codec: number,
    input: Uint8Array,
    output: Uint8Array,
    table: Uint32Array,
    dictionary: PreparedDictionary | null,
  ): number;
  /** For compressing at a level, or with level 0 for decompressing. Throws if a trained dictionary is damaged. */
  prepareDictionary(bytes: Uint8Array, level: number): PreparedDictionary;
  /** On samples that lie behind one another, with their lengths. Its frames name `number`, which is above 0. The same samples give the same bytes. */
  trainDictionary(
    samples: Uint8Array,
    sizes: Uint32Array,
    output: Uint8Array,
    level: number,
    number: number,
  ): number;
  /** Frees what this thread keeps between calls. */
  releaseContexts(): void;
  contract(): number;
  versions(): string;
  /** What becomes of a panic: an exception. */
  panicForTest(): never;
}

/** The numbers of native/src/status.rs. */
export const addonFailure = {
  full: -1,
  corrupt: -2,
  dictionary: -3,
  level: -4,
  range: -5,
  memory: -6,
  codec: -7,
} as const;

/** Which functions with which arguments this file knows. */
const CONTRACT = 1;
const place = fileURLToPath(new URL('../../../native/build/codecs.node', import.meta.url));
const rebuild = 'npm run build:native in the folder of millrace builds it (with cargo)';

/** The addon, or one sentence why it is not here. Never throws. */
export function loadAddon(): NativeAddon | string {
  if (process.env['MILLRACE_NATIVE'] === '0') return 'MILLRACE_NATIVE=0 leaves it out';
  if (!existsSync(place)) return `it is not built: ${rebuild}`;
  try {
    const addon = createRequire(import.meta.url)(place) as NativeAddon;
    const found = addon.contract();
    if (found === CONTRACT) return addon;
    return `built from other sources (contract ${found}, not ${CONTRACT}): ${rebuild}`;
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return `it does not load: ${text.split('\n')[0]}`;
  }
}
