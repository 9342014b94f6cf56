/**
 * The shipped dictionaries, trained by scripts/train-dictionaries.mjs on frames of each dialect. Plain data: main names them in its
 * answers and hands their bytes out over HTTP without loading a codec. A new version is a new row; former ones stay, so that clients
 * that keep one are still served.
 */

export interface DictionaryRow {
  readonly dialect: string;
  readonly version: number;
  /** SHA-256 of the bytes, in hex. Clients name it by this, or by its first 16 digits. */
  readonly hash: string;
}

/** Newest first for each dialect. */
export const dictionaryTable: readonly DictionaryRow[] = [
  {
    dialect: 'responses',
    version: 1,
    hash: '92b50422f1c4144092288848a64b29b4268561d822de537ada3ea6cb6015e7f6',
  },
  {
    dialect: 'chat',
    version: 1,
    hash: 'b5f1591558ffbb96cd02909a257c8f66127b16cbd7e51d7d068ec94e61da3e41',
  },
];

const HASH_DIGITS_MIN = 16;

/** The dialect's newest one, or the one whose hash begins so. */
export function dictionaryFor(dialect: string, hash?: string): DictionaryRow | undefined {
  if (hash !== undefined && hash.length < HASH_DIGITS_MIN) return undefined;
  return dictionaryTable.find(
    (row) => row.dialect === dialect && (hash === undefined || row.hash.startsWith(hash)),
  );
}
