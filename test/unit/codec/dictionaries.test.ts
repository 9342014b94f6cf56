/** Goal: the shipped dictionaries are what the table says, and still fit the frames that the dialects make. Method: their files, and answers that none was trained on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { framedDialects, framesOf, simulatedBody } from '../../../bench/support/dialect-frames.ts';
import { chooseCoder, isServed } from '../../../src/codec/choice.ts';
import { DICTIONARY_LEVEL, loadDictionary } from '../../../src/codec/dictionaries.ts';
import { dictionaryFor, dictionaryTable } from '../../../src/codec/dictionary-table.ts';

/** All frames of an answer, openers and ends included. Below these a dictionary no longer fits: train the next version. */
const LEAST = { responses: 4.3, chat: 1.5 } as const;
const BYTES_MAX = 16 * 1024;

test('each file is what its row says, small, and the only one of its hash', () => {
  for (const { hash } of dictionaryTable) {
    const dictionary = loadDictionary(hash);
    assert.ok(dictionary && dictionary.bytes.byteLength <= BYTES_MAX);
    assert.equal(loadDictionary(hash), dictionary, 'one object per dictionary and thread');
  }
  const hashes = dictionaryTable.map(({ hash }) => hash.slice(0, 16));
  assert.equal(new Set(hashes).size, dictionaryTable.length);
  assert.equal(loadDictionary('0'.repeat(64)), undefined);
});

for (const dialect of framedDialects) {
  test(`frames of ${dialect} become ${LEAST[dialect]} times smaller at least`, (t) => {
    if (!isServed('zstd+dict')) return t.diagnostic('no zstd with dictionaries here');
    const dictionary = loadDictionary(dictionaryFor(dialect)?.hash ?? '');
    assert.ok(dictionary);
    const frames = Array.from({ length: 10 }, (_, at) =>
      framesOf(dialect, simulatedBody(77, 500 + at), 500 + at),
    ).flat();
    const { coder } = chooseCoder('zstd', 150, true);
    let [plain, packed] = [0, 0];
    for (const frame of frames) {
      const made = coder.compress(frame, DICTIONARY_LEVEL, dictionary);
      const back = coder.decompress(made, frame.byteLength, dictionary);
      assert.equal(Buffer.compare(back, frame), 0);
      plain += frame.byteLength;
      packed += made.byteLength;
    }
    assert.ok(plain / packed >= LEAST[dialect], `${plain / packed}`);
  });
}
