/** Goal: each codec and size is served by the fastest source that is here, by the committed table; a native win must be a clear one. Method: every row of the table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chooseCoder,
  codecOf,
  explainChoices,
  inlineBytesMax,
  isServed,
} from '../../../src/codec/choice.ts';
import { codecNames, levels } from '../../../src/codec/codec.ts';
import { measured, measuredTokens } from '../../../src/codec/measured.ts';
import { encodingNames } from '../../../src/codec/negotiate.ts';
import { loadSource, sourceNames } from '../../../src/codec/sources.ts';

const here = (codec: (typeof codecNames)[number], dictionary: boolean) =>
  sourceNames.filter((name) => {
    const coder = loadSource(name).source?.coders[codec];
    return coder !== undefined && (!dictionary || coder.claims.dictionary);
  });

test('no other source that is here is faster, unless it is the native one and not by a fifth', () => {
  let rows = 0;
  for (const [codec, table, dictionary] of [
    ...codecNames.map((codec) => [codec, measured[codec], false] as const),
    ['zstd', measuredTokens, true] as const,
  ]) {
    if (here(codec, dictionary).length === 0) continue;
    for (const row of table) {
      for (const [direction, at] of [
        ['compress', 0],
        ['decompress', 1],
      ] as const) {
        const { source, coder, blocks } = chooseCoder(codec, row.bytes, dictionary, direction);
        assert.equal(coder, loadSource(source).source?.coders[codec]);
        assert.equal(blocks, source === 'node-zlib');
        const cost = row[source]?.[at] ?? Number.POSITIVE_INFINITY;
        for (const other of here(codec, dictionary)) {
          const theirs = row[other]?.[at] ?? Number.POSITIVE_INFINITY;
          const fair = other === 'native' ? theirs * 1.2 : theirs;
          const ours = source === 'native' ? cost * 1.2 : cost;
          assert.ok(ours <= fair, `${codec} ${row.bytes} ${direction}: ${source} and not ${other}`);
        }
        rows += 1;
      }
    }
  }
  assert.ok(rows >= 36, `${rows} rows`);
});

test('a size between two rows is the larger one, and beyond the last the last', () => {
  const of = (bytes: number) => chooseCoder('gzip', bytes, false);
  assert.equal(of(0), of(64));
  assert.equal(of(301), of(1_024));
  assert.equal(of(10 ** 9), of(1_048_576));
});

test('every encoding is served or has no source, and doctor says the same', () => {
  const told = new Map(explainChoices().map(({ codec, by }) => [codec, by]));
  for (const encoding of encodingNames) {
    assert.equal(told.get(encoding) !== undefined, isServed(encoding), encoding);
    assert.ok(codecNames.includes(codecOf(encoding)));
  }
  assert.equal(told.get('gzip') !== undefined, true);
});

test('hard levels leave the thread earlier', () => {
  for (const codec of codecNames) {
    const { normal, max } = levels[codec];
    assert.ok(inlineBytesMax(codec, normal) >= 32 * 1024);
    assert.equal(inlineBytesMax(codec, max), 1_024);
  }
});
