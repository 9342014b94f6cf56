/** The dictionaries for `zstd+dict`: a list, and each one's bytes under its hash, for ever the same. */
import { loadDictionary } from '../codec/dictionaries.ts';
import { dictionaryTable } from '../codec/dictionary-table.ts';
import { MillraceError } from '../errors.ts';
import { refusal } from './accept.ts';
import type { HttpReply } from './backend/backend.ts';

export const DICTIONARIES_PATH = '/dictionaries';

/** A browser on any page may fetch them: they hold nothing of anybody's. */
const open = { 'Access-Control-Allow-Origin': '*', 'X-Content-Type-Options': 'nosniff' };

export function isDictionaryPath(path: string): boolean {
  return path === DICTIONARIES_PATH || path.startsWith(`${DICTIONARIES_PATH}/`);
}

/** To GET and HEAD. */
export function dictionaryReply(path: string): HttpReply {
  if (path === DICTIONARIES_PATH) {
    const data = dictionaryTable.map((row) => ({
      ...row,
      path: `${DICTIONARIES_PATH}/${row.hash}`,
    }));
    return {
      status: 200,
      headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', ...open },
      body: JSON.stringify({ data }),
    };
  }
  const found = loadDictionary(path.slice(DICTIONARIES_PATH.length + 1));
  if (!found) return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
  return {
    status: 200,
    headers: {
      'Content-Type': 'application/octet-stream',
      'Cache-Control': 'public, max-age=31536000, immutable',
      ...open,
    },
    body: found.bytes,
  };
}
