import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ShareWord, UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { Bug } from '../../../src/must.ts';
import { runs } from '../../support/runs.ts';

test('every word of every row is its own', () => {
  const shared = allocateUpstreamTable(3, 2);
  const table = openUpstreamTable(shared);
  assert.deepEqual([table.upstreamsMax, table.workersMax], [3, 2]);
  let value = 0;
  for (let upstream = 0; upstream < 3; upstream++) {
    for (const word of Object.values(UpstreamWord)) table.set(upstream, word, ++value);
    for (let worker = 0; worker < 2; worker++) {
      for (const word of Object.values(ShareWord)) table.setShare(upstream, worker, word, ++value);
    }
  }
  const other = openUpstreamTable(shared);
  value = 0;
  for (let upstream = 0; upstream < 3; upstream++) {
    for (const word of Object.values(UpstreamWord)) {
      assert.equal(other.get(upstream, word), ++value);
      if (word === UpstreamWord.weight) assert.equal(other.weight(upstream), value);
    }
    for (let worker = 0; worker < 2; worker++) {
      for (const word of Object.values(ShareWord)) {
        assert.equal(other.share(upstream, worker, word), ++value);
      }
    }
  }
});

test('rows outside are bugs, and a table may be empty', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  for (const wrong of [-1, 1]) {
    assert.throws(() => table.get(wrong, 0), Bug);
    assert.throws(() => table.acquire(wrong, 0), Bug);
    assert.throws(() => table.acquire(0, wrong), Bug);
  }
  assert.throws(() => openUpstreamTable(new SharedArrayBuffer(128)), Bug);
  assert.equal(openUpstreamTable(allocateUpstreamTable(0, 0)).upstreamsMax, 0);
  assert.throws(() => allocateUpstreamTable(-1, 1), Bug);
  assert.throws(() => allocateUpstreamTable(1, -1), Bug);
});

test('the epoch grows by bumps', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  table.bump();
  assert.equal(table.epoch(), 1);
});

test('the last place is given once, and a full upstream gives none', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 2));
  table.set(0, UpstreamWord.capacity, 2);
  const taken = [0, 1, 0, 1].map((worker) => table.tryAcquire(0, worker));
  assert.deepEqual(taken, [true, true, false, false]);
  assert.equal(table.inFlight(0), 2);
  table.release(0, 1, true);
  assert.equal(table.tryAcquire(0, 0), true);
  assert.equal(table.inFlight(0), 2);
});

test('words are swapped only from what was expected, and added to', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  assert.equal(table.compareAndSet(0, UpstreamWord.drained, 1, 2), false);
  assert.equal(table.compareAndSet(0, UpstreamWord.drained, 0, 1), true);
  assert.equal(table.get(0, UpstreamWord.drained), 1);
  assert.equal(table.compareAndSet(0, UpstreamWord.cooldownUntil, 0, 2 ** 32 - 1), true);
  assert.equal(table.compareAndSet(0, UpstreamWord.cooldownUntil, 2 ** 32 - 1, 0), true);
  assert.equal(table.add(0, UpstreamWord.epoch, 1), 1);
  assert.equal(table.add(0, UpstreamWord.epoch, 2), 3);
  assert.equal(table.get(0, UpstreamWord.epoch), 3);
});

test('a release without an acquire counts its outcome, and no stream below zero', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 2));
  table.acquire(0, 1);
  table.release(0, 0, false);
  assert.equal(table.inFlight(0), 1);
  assert.equal(table.share(0, 0, ShareWord.inFlight), 0);
  assert.equal(table.share(0, 0, ShareWord.failed), 1);
});

test('a dead worker is taken out once, and only its own generation', () => {
  const table = openUpstreamTable(allocateUpstreamTable(2, 2));
  for (const worker of [0, 1]) {
    table.claim(worker, 10 + worker);
    table.acquire(0, worker);
    table.acquire(1, worker);
  }
  assert.equal(table.share(1, 0, ShareWord.inFlight), 1);
  assert.throws(() => table.reclaim(0, 0), Bug);
  assert.equal(table.reclaim(0, 9), false);
  assert.equal(table.inFlight(0), 2);
  assert.equal(table.reclaim(0, 10), true);
  assert.equal(table.reclaim(0, 10), false);
  assert.deepEqual([table.inFlight(0), table.inFlight(1)], [1, 1]);
  assert.equal(table.share(0, 0, ShareWord.generation), 0);
  table.claim(0, 12);
  table.acquire(0, 0);
  assert.equal(table.reclaim(0, 10), false);
  assert.equal(table.inFlight(0), 2);
});

test('a successor that comes before the clearing takes the rows clean', () => {
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  table.claim(0, 1);
  table.acquire(0, 0);
  table.claim(0, 2);
  assert.equal(table.inFlight(0), 0);
  table.acquire(0, 0);
  table.claim(0, 2);
  assert.equal(table.inFlight(0), 1, 'claiming twice changes nothing');
  assert.equal(table.reclaim(0, 1), false);
  assert.equal(table.inFlight(0), 1);
  assert.throws(() => table.claim(0, 0), Bug);
});

test('in-flight sums are those of a plain model', () => {
  const step = fc.record({
    what: fc.constantFrom('acquire', 'release', 'die'),
    upstream: fc.nat(2),
    worker: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const table = openUpstreamTable(allocateUpstreamTable(3, 4));
      const model = Array.from({ length: 3 }, () => [0, 0, 0, 0]);
      const generations = [1, 1, 1, 1];
      for (const worker of [0, 1, 2, 3]) table.claim(worker, 1);
      for (const { what, upstream, worker } of steps) {
        if (what === 'acquire') {
          table.acquire(upstream, worker);
          model[upstream][worker] += 1;
        } else if (what === 'release') {
          table.release(upstream, worker, true);
          model[upstream][worker] = Math.max(0, model[upstream][worker] - 1);
        } else {
          assert.equal(table.reclaim(worker, generations[worker]++), true);
          table.claim(worker, generations[worker]);
          for (const row of model) row[worker] = 0;
        }
        for (const [at, row] of model.entries()) {
          assert.equal(
            table.inFlight(at),
            row.reduce((sum, n) => sum + n, 0),
          );
        }
      }
    }),
    runs(200, 5000),
  );
});
