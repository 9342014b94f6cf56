/** TOML 1.0 with the offset of every key and value: smol-toml reads, locate-toml.ts finds. */
import { createRequire } from 'node:module';
import type * as Toml from 'smol-toml';
import { locateToml } from './locate-toml.ts';
import { DEPTH_MAX, isTooDeep, type Malformed, type Parsed, tooDeep } from './parsed.ts';

/** Loaded by the first file in TOML. */
let toml: typeof Toml;

export function parseToml(text: string): Parsed | Malformed {
  toml ??= createRequire(import.meta.url)('smol-toml') as typeof toml;
  let value: unknown;
  try {
    value = toml.parse(text, { maxDepth: DEPTH_MAX });
  } catch (error) {
    if (!(error instanceof toml.TomlError)) throw error;
    return { offset: offsetIn(text, error), text: words(error.message) };
  }
  if (isTooDeep(value)) return { offset: 0, text: tooDeep };
  return { value, root: locateToml(text), twice: [] };
}

function offsetIn(text: string, { line, column }: Toml.TomlError): number {
  const before = text.split('\n').slice(0, line - 1);
  return before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
}

/** Begins of the parser's sentences, which go on with a quoted part of the file. */
const known: readonly (readonly [begin: string, text: string])[] = [
  [
    'trying to redefine',
    'this key or table is there already; more entries of a list are written with [[name]]',
  ],
  ['invalid value', 'a value is missing here, or a text without quotes'],
  ['unfinished string', 'a quote is opened here and not closed'],
  [
    'control characters',
    'a quote is not closed on this line (longer texts stand in """), or a text holds a control character',
  ],
  [
    'illegal character in key',
    'a key is letters, digits, - and _, followed by = (the name of a table by ]); anything else stands in quotes',
  ],
  ['unexpected end of key', 'a key is missing here'],
  ['incomplete key-value', 'a key without = and value, or a table without its ]'],
  ['each key-value declaration', 'one key and value a line: nothing may follow the value'],
  ['integer value cannot', 'a whole number beyond what can be kept exactly'],
  [
    'unrecognised escape',
    'a backslash in double quotes begins an escape that TOML does not know; use single quotes',
  ],
  ['illegal leading zero', 'a number does not begin with 0'],
  ['unfinished numeric', 'a number ends with a digit'],
  ['expected comma', 'a comma or the closing bracket is missing here'],
  ['document contains excessively nested', tooDeep],
];

function words(message: string): string {
  const sentence = message.replace(/^Invalid TOML document: /, '');
  const found = known.find(([begin]) => sentence.startsWith(begin));
  return found?.[1] ?? 'this is no TOML; look at the quotes, brackets and commas here';
}
