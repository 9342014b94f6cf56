import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { Circuit, CircuitWord } from '../../../src/policy/circuit.ts';
import { SuccessRate } from '../../../src/policy/success-rate.ts';

const rules = { successShareMin: 0.8, volumeMin: 20, windowMs: 10_000 };

function offer() {
  const cell = openUpstreamTable(allocateUpstreamTable(1, 1)).circuit(0, 0);
  const rate = new SuccessRate();
  rate.look(cell, rules, 0);
  return {
    cell,
    rate,
    count: (good: number, bad: number) => {
      cell.add(CircuitWord.succeeded, good);
      cell.add(CircuitWord.failed, bad);
    },
    look: (nowMs: number) => rate.look(cell, rules, nowMs),
  };
}

test('too few good answers are told once there are enough of them to say so', () => {
  const { count, look } = offer();
  count(14, 5);
  assert.equal(look(10), undefined, '19 answers say nothing');
  count(1, 0);
  assert.equal(look(20), 15 / 20);
});

test('at the least share exactly it is well; without failures nothing is ever said', () => {
  const { count, look } = offer();
  count(80, 20);
  assert.equal(look(10), undefined);
  count(0, 1);
  assert.equal(look(20), 80 / 101);
  const other = offer();
  other.count(1_000, 0);
  assert.equal(other.look(10), undefined);
});

test('only the window counts: to a tenth of it, whenever it is looked', () => {
  const { count, look } = offer();
  count(0, 19);
  assert.equal(look(100), undefined);
  for (let ms = 200; ms <= 9_900; ms += 100) assert.equal(look(ms), undefined);
  count(1, 0);
  assert.equal(look(9_950), 1 / 20, 'they still count');
  for (let ms = 10_000; ms <= 11_100; ms += 100) look(ms);
  count(4, 15);
  assert.equal(look(11_150), 5 / 20, 'the first 19 are forgotten, the one after them is not');
});

test('an outage that was is forgotten when the circuit closes, and an open one is not judged', () => {
  const { cell, count, look } = offer();
  count(0, 30);
  cell.store(CircuitWord.state, Circuit.open | (1 << 18));
  assert.equal(look(10), undefined);
  count(0, 30);
  assert.equal(look(20), undefined);
  cell.store(CircuitWord.state, Circuit.closed | (2 << 18));
  assert.equal(look(30), undefined);
  count(4, 15);
  assert.equal(look(40), undefined);
  count(0, 1);
  assert.equal(look(50), 4 / 20);
});

test('counts may wrap, and a cell that was cleared begins anew', () => {
  const { cell, rate, count, look } = offer();
  cell.store(CircuitWord.failed, 2 ** 31 - 5);
  cell.store(CircuitWord.succeeded, -3);
  const fresh = new SuccessRate();
  fresh.look(cell, rules, 0);
  count(10, 10);
  assert.equal(fresh.look(cell, rules, 10), 0.5);
  assert.equal(rate.changed, false);
  cell.store(CircuitWord.failed, 0);
  cell.store(CircuitWord.succeeded, 0);
  assert.equal(look(20), undefined);
});

test('says whether failures came since a moment ago', () => {
  const { rate, count, look } = offer();
  look(10);
  assert.equal(rate.changed, false);
  count(3, 1);
  look(20);
  assert.equal(rate.changed, true);
  look(1_500);
  look(2_600);
  assert.equal(rate.changed, false);
});
