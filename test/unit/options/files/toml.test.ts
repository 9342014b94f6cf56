/** Goal: the locator finds what smol-toml read. Method: texts are written with the offsets noted, in all forms TOML has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { offsetOf, type Spot } from '../../../../src/options/files/parsed.ts';
import { parseToml } from '../../../../src/options/files/toml.ts';
import { isTree, type Path } from '../../../../src/options/paths.ts';
import { seeded } from '../../../support/seed.ts';

const { seed } = seeded('toml');

function parsed(text: string) {
  const result = parseToml(text);
  assert.ok(!('offset' in result), `${JSON.stringify(result)}\n${text}`);
  return result;
}

/** All paths of groups, lists and values, as the parser understood them. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (isTree(value)) {
    return [path, ...Object.entries(value).flatMap(([key, v]) => pathsOf(v, [...path, key]))];
  }
  if (Array.isArray(value)) return [path, ...value.flatMap((v, i) => pathsOf(v, [...path, i]))];
  return [path];
}

const spotsOf = (spot: Spot, path: Path = []): Path[] => [
  path,
  ...[...spot.below].flatMap(([key, below]) => spotsOf(below, [...path, key])),
];

const name = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/),
  fc.constantFrom('a b', 'a.b', 'q"uote', 'ä', ''),
);
const quotedName = (key: string) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key));
/** Each literal is unique by its number, so that a found offset proves itself. */
const literal = fc.constantFrom(
  (n: number) => `${n}`,
  (n: number) => `"x${n} # no ]}, \\" \\\\"`,
  (n: number) => `'y${n} # \\'`,
  (n: number) => `"""\n${n}"" \\""" ]"""""`,
  (n: number) => `'''\n${n}'' ]'''''`,
  (n: number) => `[${n}, [ # c ]\n "${n}]", ],]`,
  (n: number) => `{ k = ${n}, "l m" = { n.o = '${n}' } }`,
  (n: number) => `${2000 + (n % 1000)}-01-02 03:04:05`,
  (n: number) => `{}`.padEnd(n % 2 === 0 ? 2 : 2),
);
const table = fc.dictionary(name, literal, { maxKeys: 4, noNullPrototype: true });

test('every key and value that smol-toml reads has a spot, and no other has', () => {
  const file = fc.record({
    top: table,
    tables: fc.dictionary(name, table, { maxKeys: 3, noNullPrototype: true }),
    lists: fc.dictionary(name, fc.array(table, { minLength: 1, maxLength: 3 }), {
      maxKeys: 2,
      noNullPrototype: true,
    }),
    crlf: fc.boolean(),
  });
  fc.assert(
    fc.property(file, ({ top, tables, lists, crlf }) => {
      let n = 1000;
      let text = '# begin\n';
      const expected: { path: Path; literal: string; key: string }[] = [];
      const write = (path: Path, entries: typeof top) => {
        for (const [key, form] of Object.entries(entries)) {
          const said = form(n++);
          text += `${quotedName(key)} = ${said} # a ' comment "\n`;
          expected.push({ path: [...path, key], literal: said, key: quotedName(key) });
        }
      };
      write([], Object.fromEntries(Object.entries(top).map(([k, v]) => [`top-${k}`, v])));
      for (const [key, entries] of Object.entries(tables)) {
        text += `\n  [ "t-" . ${quotedName(key)} ]\n`;
        write(['t-', key], entries);
      }
      for (const [key, all] of Object.entries(lists)) {
        for (const [index, entries] of all.entries()) {
          text += `[[${quotedName(`l-${key}`)}]]\n`;
          write([`l-${key}`, index], entries);
          text += `[${quotedName(`l-${key}`)}.sub]\n`;
          write([`l-${key}`, index, 'sub'], entries);
        }
      }
      if (crlf) text = text.replaceAll('\n', '\r\n');
      const { value, root } = parsed(text);
      const sorted = (paths: Path[]) => paths.map((path) => JSON.stringify(path)).sort();
      assert.deepEqual(sorted(spotsOf(root)), sorted(pathsOf(value)), text);
      for (const { path, literal: said, key } of expected) {
        const want = crlf ? said.replaceAll('\n', '\r\n') : said;
        assert.ok(text.startsWith(want, offsetOf(root, path, 'value')), `${path.join()}\n${text}`);
        assert.ok(text.startsWith(key, offsetOf(root, path, 'key')), `${path.join()}\n${text}`);
      }
    }),
    { seed, numRuns: process.env.SLOW ? 20_000 : 500 },
  );
});

test('dotted keys, tables opened late and entries of inline lists are found', () => {
  const text = 'a.b."c d" = 1\n[x.y]\nz = [ { q = 1 }, { q = 2 } ]\n[x]\nw = true\n';
  const { root } = parsed(text);
  const spot = (path: Path, part: 'key' | 'value') => text.slice(offsetOf(root, path, part));
  assert.ok(spot(['a', 'b', 'c d'], 'key').startsWith('"c d"'));
  assert.ok(spot(['a', 'b', 'c d'], 'value').startsWith('1'));
  assert.ok(spot(['x', 'y', 'z', 1, 'q'], 'value').startsWith('2'));
  assert.ok(spot(['x', 'w'], 'key').startsWith('w = true'));
  assert.ok(spot(['x', 'y', 'nothing'], 'value').startsWith('y]'));
});
