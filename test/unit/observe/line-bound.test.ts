import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineBound } from '../../../src/observe/line-bound.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

function setting(linesMax: number) {
  const world = new SimulatedWorld();
  const told: string[] = [];
  const tell = (kind: string, lines: number) => void told.push(`${kind} ${lines}`);
  const bound = new LineBound(linesMax, world.clock, world.ticker, tell);
  const admitted = (kind: string, lines: number) =>
    Array.from({ length: lines }, () => bound.admits(kind)).filter(Boolean).length;
  return { world, told, bound, admitted };
}

test('so many lines a second pass, the rest is told in one line when the second is over', async () => {
  const { world, told, admitted } = setting(3);
  assert.equal(admitted('a', 3), 3);
  assert.equal(admitted('a', 1_000), 0);
  assert.equal(admitted('b', 2), 2, 'every kind has its own bound');
  await world.pass(999);
  assert.deepEqual(told, []);
  await world.pass(1);
  assert.deepEqual(told, ['a 1000']);
  assert.equal(admitted('a', 5), 3, 'a new second');
  await world.pass(1_000);
  assert.deepEqual(told, ['a 1000', 'a 2']);
  assert.equal(world.timers, 0);
});

test('a trickle below the bound is never held back', async () => {
  const { world, told, admitted } = setting(2);
  for (let n = 0; n < 50; n += 1) {
    assert.equal(admitted('a', 1), 1);
    await world.pass(600);
  }
  assert.deepEqual(told, []);
});

test('at the end it says what it still owes, and leaves no timer', () => {
  const { world, told, bound, admitted } = setting(1);
  admitted('a', 5);
  bound.stop();
  assert.deepEqual(told, ['a 4']);
  assert.equal(world.timers, 0);
});
