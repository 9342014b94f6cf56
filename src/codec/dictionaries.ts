/** The bytes of the shipped dictionaries, read at their first use and kept. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { codecUnavailable, type Dictionary } from './codec.ts';
import { type DictionaryRow, dictionaryTable } from './dictionary-table.ts';

/** Tokens lose a fifth of their gain one level below, and cost twice as much two levels above. */
export const DICTIONARY_LEVEL = 4;

const loaded = new Map<string, Dictionary>();

/** By the whole hash; undefined: there is no such one. Throws MILLRACE_CODEC_UNAVAILABLE where its file is not what the table says. */
export function loadDictionary(hash: string): Dictionary | undefined {
  const known = loaded.get(hash);
  if (known) return known;
  const row = dictionaryTable.find((each) => each.hash === hash);
  if (!row) return undefined;
  const dictionary = { hash, bytes: read(row) };
  loaded.set(hash, dictionary);
  return dictionary;
}

function read({ dialect, version, hash }: DictionaryRow): Uint8Array {
  const file = new URL(`./dictionaries/${dialect}-${version}.zdict`, import.meta.url);
  const bytes = new Uint8Array(readFileSync(file));
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found === hash) return bytes;
  throw codecUnavailable(
    'zstd+dict',
    `the file of the dictionary ${dialect} ${version} is damaged`,
  );
}
