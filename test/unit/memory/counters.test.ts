import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allocateCounters,
  foldCounters,
  openCounters,
  readCounters,
} from '../../../src/memory/counters.ts';
import { Bug } from '../../../src/must.ts';

test('each row counts for itself, on cache lines of its own', () => {
  const size = 9;
  const shared = allocateCounters(2, size);
  assert.equal(shared.byteLength, 2 * 128);
  const [first, second] = [0, 1].map((row) => openCounters(shared, row, size));
  first.add(0);
  first.add(8, 2.5);
  second.add(0, 2 ** 40);
  second.set(8, -1);
  assert.deepEqual([first.get(0), first.get(8)], [1, 2.5]);
  assert.deepEqual([second.get(0), second.get(8)], [2 ** 40, -1]);
  for (const row of [-1, 2]) assert.throws(() => openCounters(shared, row, size), Bug);
});

test('a table may be empty, a row may lie at the very end, and sizes below 0 are bugs', () => {
  assert.equal(allocateCounters(0, 8).byteLength, 0);
  assert.equal(allocateCounters(8, 0).byteLength, 0);
  const shared = allocateCounters(2, 8);
  openCounters(shared, 1, 8).add(7);
  assert.equal(readCounters(shared, 1, 8)[7], 1);
  assert.throws(() => openCounters(shared, 1, 9), Bug);
  assert.throws(() => allocateCounters(-1, 1), Bug);
  assert.throws(() => allocateCounters(1, -1), Bug);
});

test('what is read is a copy', () => {
  const shared = allocateCounters(1, 2);
  const block = openCounters(shared, 0, 2);
  block.add(1);
  const copy = readCounters(shared, 0, 2);
  assert.ok(copy.buffer instanceof ArrayBuffer);
  block.add(1);
  assert.deepEqual([...copy], [0, 1]);
});

test('a value goes into the first bucket whose bound is not below it, and into the sum', () => {
  const bounds = Float64Array.from([1, 2, 5]);
  const shared = allocateCounters(1, 6);
  const block = openCounters(shared, 0, 6);
  for (const value of [0, 1, 1.5, 2, 5, 5.1, 100]) block.observe(1, bounds, value);
  assert.deepEqual([...readCounters(shared, 0, 6)], [0, 2, 2, 1, 2, 114.6]);
});

test('no bounds: one bucket and the sum', () => {
  const shared = allocateCounters(1, 2);
  openCounters(shared, 0, 2).observe(0, new Float64Array(0), 7);
  assert.deepEqual([...readCounters(shared, 0, 2)], [1, 7]);
});

test('folding adds a row to a sum and zeroes it, so that totals never go back', () => {
  const shared = allocateCounters(2, 3);
  const into = Float64Array.from([1, 1, 1]);
  openCounters(shared, 0, 3).add(0, 5);
  openCounters(shared, 1, 3).add(0, 100);
  foldCounters(shared, 0, 3, into);
  foldCounters(shared, 0, 3, into);
  assert.deepEqual([...into], [6, 1, 1]);
  assert.deepEqual([...readCounters(shared, 0, 3)], [0, 0, 0]);
  assert.deepEqual([...readCounters(shared, 1, 3)], [100, 0, 0]);
  assert.throws(() => foldCounters(shared, 0, 3, new Float64Array(2)), Bug);
});
