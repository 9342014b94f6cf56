/** Goal: our JSON takes exactly what JSON.parse takes, and knows where everything stands. Method: JSON.parse is the oracle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseJson } from '../../../../src/options/files/json.ts';
import { offsetOf, type Spot } from '../../../../src/options/files/parsed.ts';
import type { Path } from '../../../../src/options/paths.ts';
import { seeded } from '../../../support/seed.ts';

const { seed } = seeded('json');
const numRuns = process.env.SLOW ? 50_000 : 2_000;

/** Without the missing prototypes that JSON.parse does not have. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

function walk(spot: Spot, path: Path, see: (path: Path) => void): void {
  see(path);
  for (const [key, below] of spot.below) walk(below, [...path, key], see);
}

function at(value: unknown, path: Path): unknown {
  return path.reduce(
    (node: unknown, key) => (node as Record<string | number, unknown>)[key],
    value,
  );
}

test('any value is read as JSON.parse reads it, and every spot points at its key and value', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 1, '\t'), (compact, indent) => {
      const text = JSON.stringify(JSON.parse(compact), null, indent);
      const parsed = parseJson(text);
      assert.ok(!('offset' in parsed), text);
      assert.deepEqual(plain(parsed.value), JSON.parse(text));
      walk(parsed.root, [], (path) => {
        const value = JSON.stringify(at(JSON.parse(text), path), null, indent);
        const first = value.slice(0, value.search(/[{[]|$/) + 1);
        assert.ok(
          text.startsWith(first, offsetOf(parsed.root, path, 'value')),
          `${path.join()} ${text}`,
        );
        const key = path.at(-1);
        if (typeof key === 'string') {
          assert.ok(text.startsWith(`${JSON.stringify(key)}:`, offsetOf(parsed.root, path, 'key')));
        }
      });
    }),
    { seed, numRuns },
  );
});

/** JSON.parse of Node 24 (V8 13.6) reads the key "k\\/" as "k\\\\" once it has met that one: no judge of such texts. */
const [, read] = ['{"k\\\\":1}', '{"k\\/":1}'].map((text) => Object.keys(JSON.parse(text))[0]);
const mistaken = read !== 'k/';

test('a damaged text is refused exactly when JSON.parse refuses it', () => {
  const piece = fc.constantFrom(
    ...Array.from('{}[]:,"\'\\ \n/#-+.0123456789eEtrufalsn\u007f'),
    'null',
    '"a":',
    '\u0000',
  );
  const damaged = fc
    .tuple(fc.json({ maxDepth: 2 }), fc.nat(), fc.nat(2), piece)
    .map(([text, at, cut, put]) => {
      // Mostly beside the marks, where mistakes are made.
      const marks = [...text.matchAll(/[{}[\],:"]/g)].map(({ index }) => index);
      const index =
        marks.length > 0 && at % 4 > 0 ? marks[at % marks.length] : at % (text.length + 1);
      return text.slice(0, index) + put + text.slice(index + cut);
    })
    .filter((text) => !mistaken || !text.includes('\\/'));
  fc.assert(
    fc.property(damaged, (text) => {
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        const wrong = parseJson(text);
        assert.ok('offset' in wrong, text);
        assert.ok(wrong.offset >= 0 && wrong.offset <= text.length, text);
        return;
      }
      const parsed = parseJson(text);
      assert.ok(!('offset' in parsed), `${text}: ${JSON.stringify(parsed)}`);
      assert.deepEqual(plain(parsed.value), plain(expected));
    }),
    { seed, numRuns },
  );
});

test('what other parsers forgive is refused as JSON.parse refuses it', () => {
  for (const text of [
    '[1,]',
    '{"a":1,}',
    '[,1]',
    '[1,,2]',
    '{,}',
    '[1 2]',
    '{"a" 1}',
    "['a']",
    '01',
    '1.',
    '.5',
    '+1',
    '-',
  ]) {
    assert.throws(() => JSON.parse(text), SyntaxError);
    assert.ok('offset' in parseJson(text), text);
  }
});

test('a key that stands twice is told with both places', () => {
  const parsed = parseJson('{"a": {"b": 1, "c": 2, "b": 3}}');
  assert.ok(!('offset' in parsed));
  assert.deepEqual(parsed.twice, [{ path: ['a', 'b'], offset: 23, first: 7 }]);
});

test('32 levels are read and 33 are not; a text of a mebibyte is', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  assert.ok(!('offset' in parseJson(nested(32))));
  assert.ok('offset' in parseJson(nested(33)));
  assert.ok('offset' in parseJson('['.repeat(1024 * 1024)));
  assert.ok(!('offset' in parseJson(JSON.stringify('x"'.repeat(512 * 1024)))));
});
