/** Goal: permits are exact between real threads, on one key and on many, by leases too. Method: four threads take as fast as they can until nothing is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { allocateLimitTable, openLimitTable } from '../../src/memory/limit-table.ts';
import type { Taken, Taker } from './limit-taker.ts';

const THREADS = 4;
const TRIES = process.env['SLOW'] ? 1_000_000 : 100_000;
const SLOTS = 1_024;
/** Four threads on two cores are seen to lose some dozen at worst; a bound on what no code bounds (a swap that fails is one that another thread made). */
const LOST_MAX = 2_000;

/** What each thread got, by key. */
async function race(
  t: { after(run: () => unknown): void },
  more: Pick<Taker, 'keys' | 'capacity' | 'leaseSize' | 'sweeps' | 'exact'>,
): Promise<Taken[]> {
  const shared = allocateLimitTable(SLOTS, 1, 7, more.exact ? more.capacity : 0);
  const gate = new SharedArrayBuffer(4);
  new Int32Array(gate)[0] = THREADS;
  const all = Array.from({ length: THREADS }, (_, owner) => {
    const data: Taker = { shared, gate, owner: owner + 1, tries: TRIES, ...more };
    const worker = new Worker(new URL('./limit-taker.js', import.meta.url), { workerData: data });
    t.after(() => worker.terminate());
    return new Promise<Taken>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  });
  const taken = await Promise.all(all);
  const table = openLimitTable(shared);
  assert.ok(table.used() <= more.keys, 'one place a key');
  return taken;
}

const sums = (taken: readonly Taken[], keys: number) =>
  Array.from({ length: keys }, (_, key) => taken.reduce((sum, { got }) => sum + got[key], 0));

test('four threads on one key get exactly what there is', async (t) => {
  const capacity = Math.floor((THREADS * TRIES) / 2);
  const taken = await race(t, { keys: 1, capacity, leaseSize: 0, sweeps: false });
  assert.deepEqual(sums(taken, 1), [capacity]);
  t.diagnostic(`each: ${taken.map(({ got }) => got[0]).join(', ')}`);
});

test('nobody starves: a thread loses a swap only to another one that gets on, and never many in a row', async (t) => {
  const capacity = Math.floor((THREADS * TRIES) / 2);
  const taken = await race(t, { keys: 1, capacity, leaseSize: 0, sweeps: false });
  const lost = taken.map(({ lostMost }) => lostMost);
  t.diagnostic(`lost in a row, at most: ${lost.join(', ')}`);
  assert.ok(Math.max(...lost) < LOST_MAX, lost.join(', '));
  // Told, not judged: which thread runs beside which other, and so how often it loses, is the system's choice.
  t.diagnostic(
    `swaps that went through: ${taken.map(({ wonShare }) => wonShare.toFixed(3)).join(', ')}`,
  );
});

test('an exact log is exact between threads too, on one key and on many that are swept', async (t) => {
  for (const [keys, sweeps] of [
    [1, false],
    [300, true],
  ] as const) {
    const capacity = 64;
    const taken = await race(t, { keys, capacity, leaseSize: 0, sweeps, exact: true });
    const wrong = sums(taken, keys).filter((sum) => sum !== capacity);
    assert.deepEqual(wrong, []);
  }
});

test('four threads on 300 keys, that they bring at the same time while a sweep goes on, get exactly what there is of each', async (t) => {
  const keys = 300;
  const capacity = Math.floor((THREADS * TRIES) / keys / 2);
  const taken = await race(t, { keys, capacity, leaseSize: 0, sweeps: true });
  const wrong = sums(taken, keys).filter((sum) => sum !== capacity);
  assert.deepEqual(wrong, []);
});

test('by leases too', async (t) => {
  const capacity = Math.floor((THREADS * TRIES) / 2);
  const taken = await race(t, { keys: 1, capacity, leaseSize: 64, sweeps: false });
  assert.deepEqual(sums(taken, 1), [capacity]);
});
