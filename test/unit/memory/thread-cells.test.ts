import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateThreadCells, openThreadCells } from '../../../src/memory/thread-cells.ts';
import { Bug } from '../../../src/must.ts';

test('a generation names one incarnation of one row, over all rows', () => {
  const shared = allocateThreadCells(3);
  const cells = openThreadCells(shared);
  assert.equal(cells.generation(0), 0);
  const given = [0, 1, 2, 1, 1].map((row) => cells.renew(row));
  assert.deepEqual(given, [1, 2, 3, 4, 5]);
  assert.deepEqual(
    [0, 1, 2].map((row) => openThreadCells(shared).generation(row)),
    [1, 5, 3],
  );
});

test('no generation is 0, also after 2^32 of them', () => {
  const shared = allocateThreadCells(1);
  new Int32Array(shared)[16] = -2;
  const cells = openThreadCells(shared);
  assert.deepEqual(
    [1, 2].map(() => cells.renew(0)),
    [-1, 1],
  );
});

test('renew resets state, beat and codec of its row alone', () => {
  const cells = openThreadCells(allocateThreadCells(2));
  for (const row of [0, 1]) {
    cells.setState(row, 2);
    cells.beat(row);
    cells.setInCodec(row, true);
  }
  cells.renew(1);
  assert.deepEqual([cells.state(1), cells.beats(1), cells.inCodec(1)], [0, 0, false]);
  assert.deepEqual([cells.state(0), cells.beats(0), cells.inCodec(0)], [2, 1, true]);
  cells.setInCodec(0, false);
  assert.equal(cells.inCodec(0), false);
});

test('beats run over 2^31 and 2^32', () => {
  const shared = allocateThreadCells(1);
  const words = new Int32Array(shared);
  const cells = openThreadCells(shared);
  words[2] = 2 ** 31 - 1;
  cells.beat(0);
  assert.equal(cells.beats(0), 2 ** 31);
  words[2] = -1;
  cells.beat(0);
  assert.equal(cells.beats(0), 0);
});

test('a row outside is a bug', () => {
  const cells = openThreadCells(allocateThreadCells(2));
  for (const row of [-1, 2, 3]) assert.throws(() => cells.setState(row, 1), Bug);
  assert.throws(() => allocateThreadCells(0), Bug);
});
