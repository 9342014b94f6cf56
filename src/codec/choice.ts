/**
 * Which source serves what: the fastest by measurement (measured.ts) of those that are here and can do it. The native addon has to
 * win by a fifth: it is code of our own.
 */
import {
  type CodecName,
  type Coder,
  codecNames,
  codecUnavailable,
  levels,
  type SourceName,
} from './codec.ts';
import { measured, measuredTokens, type Row } from './measured.ts';
import type { EncodingName } from './negotiate.ts';
import { loadSource, sourceNames } from './sources.ts';

const NATIVE_WINS_BY = 1.2;

/** What is done with it. */
export type Direction = 'compress' | 'decompress';

export interface Choice {
  readonly coder: Coder;
  readonly source: SourceName;
  /** Its thread must not be terminated inside a call. */
  readonly blocks: boolean;
}

/**
 * Larger inputs are work for the jobs pool: by measurement they would hold up a worker's other streams for about a millisecond (of
 * node:zlib, where it is the only source).
 */
const inlineBytes: Readonly<Record<CodecName, number>> = {
  gzip: 32 * 1024,
  deflate: 32 * 1024,
  brotli: 64 * 1024,
  zstd: 256 * 1024,
};

/** Levels above the normal one may take a hundred times as long. */
const HARD_BYTES = 1_024;

export function inlineBytesMax(codec: CodecName, level: number): number {
  return level > levels[codec].normal ? HARD_BYTES : inlineBytes[codec];
}

export function codecOf(encoding: EncodingName): CodecName {
  return encoding === 'zstd+dict' ? 'zstd' : encoding;
}

const chosen = new Map<string, Choice>();

/** Throws MILLRACE_CODEC_UNAVAILABLE where no source is. */
export function chooseCoder(
  codec: CodecName,
  bytes: number,
  dictionary: boolean,
  direction: Direction = 'compress',
): Choice {
  const row = rowOf(codec, bytes, dictionary);
  const key = `${codec} ${dictionary} ${direction} ${row.bytes}`;
  let choice = chosen.get(key);
  if (!choice) {
    choice = choose(codec, row, dictionary, direction);
    chosen.set(key, choice);
  }
  return choice;
}

/** Is there a source for it? */
export function isServed(encoding: EncodingName): boolean {
  return candidates(codecOf(encoding), encoding === 'zstd+dict').length > 0;
}

/** For each codec its source, or its sources by size; undefined: it has none. */
export function explainChoices(): { readonly codec: string; readonly by: string | undefined }[] {
  const plain = codecNames.map((codec) => ({ codec, by: told(codec, measured[codec], false) }));
  return [...plain, { codec: 'zstd+dict', by: told('zstd', measuredTokens, true) }];
}

function told(codec: CodecName, rows: readonly Row[], dictionary: boolean): string | undefined {
  if (candidates(codec, dictionary).length === 0) return undefined;
  const bySource = new Map<SourceName, string[]>();
  for (const row of rows) {
    const { source } = choose(codec, row, dictionary, 'compress');
    bySource.set(source, [...(bySource.get(source) ?? []), sizeText(row.bytes)]);
  }
  if (bySource.size === 1) return [...bySource.keys()][0];
  return [...bySource].map(([source, sizes]) => `${source} (${sizes.join(', ')})`).join(', ');
}

const sizeText = (bytes: number) =>
  bytes < 1_024 ? `${bytes} B` : `${Math.round(bytes / 1_024)} KiB`;

interface Candidate {
  readonly source: SourceName;
  readonly coder: Coder;
}

function candidates(codec: CodecName, dictionary: boolean): Candidate[] {
  return sourceNames.flatMap((source) => {
    const coder = loadSource(source).source?.coders[codec];
    return coder && (!dictionary || coder.claims.dictionary) ? [{ source, coder }] : [];
  });
}

function choose(codec: CodecName, row: Row, dictionary: boolean, direction: Direction): Choice {
  const all = candidates(codec, dictionary);
  const costOf = ({ source }: Candidate) => {
    const cost = row[source]?.[direction === 'compress' ? 0 : 1] ?? Number.POSITIVE_INFINITY;
    return source === 'native' ? cost * NATIVE_WINS_BY : cost;
  };
  const [best] = all.toSorted((a, b) => costOf(a) - costOf(b));
  if (!best) throw codecUnavailable(codec, 'no source of it is here');
  return { ...best, blocks: best.source === 'node-zlib' };
}

function rowOf(codec: CodecName, bytes: number, dictionary: boolean): Row {
  const rows = dictionary ? measuredTokens : measured[codec];
  return rows.find((row) => row.bytes >= bytes) ?? rows[rows.length - 1];
}
