// @ts-check
/** Which test files a word names, as built. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} folder @returns {string[]} */
function testsIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return entry.name === 'clients' || entry.name === 'recordings' ? [] : testsIn(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}

/** Those whose path holds a word; all without words. From the repository's root. @param {readonly string[]} words */
export function testFiles(words) {
  return testsIn('test')
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .map((file) => join('dist', file.replace(/\.ts$/, '.js')));
}
