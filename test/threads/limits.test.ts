/** Goal: permits are exact between real threads, on one key and on many, by leases too. Method: four threads take as fast as they can until nothing is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { allocateLimitTable, openLimitTable } from '../../src/memory/limit-table.ts';
import type { Taken, Taker } from './limit-taker.ts';

const THREADS = 4;
const TRIES = process.env['SLOW'] ? 1_000_000 : 100_000;
const SLOTS = 1_024;

/** What each thread got, by key. */
async function race(
  t: { after(run: () => unknown): void },
  more: Pick<Taker, 'keys' | 'capacity' | 'leaseSize' | 'sweeps'>,
): Promise<Taken[]> {
  const shared = allocateLimitTable(SLOTS, 1, 7);
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
