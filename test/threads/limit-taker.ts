/** One thread of limits.test.ts: begins with the others, tries as often as it is told, says what it got of each key. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedBytes } from '../../src/memory/contract.ts';
import { openLimitTable } from '../../src/memory/limit-table.ts';
import { KeyedLimit } from '../../src/policy/limit/keyed-limit.ts';
import { Lease } from '../../src/policy/limit/lease.ts';
import { MinuteBudget } from '../../src/policy/limit/minute-budget.ts';
import { SlidingLog } from '../../src/policy/limit/sliding-log.ts';

export interface Taker {
  readonly shared: SharedBytes;
  /** A word: threads that have not come yet. */
  readonly gate: SharedBytes;
  readonly owner: number;
  readonly tries: number;
  readonly keys: number;
  /** Of each key. */
  readonly capacity: number;
  readonly leaseSize: number;
  readonly sweeps: boolean;
  /** A word for each request, instead of a count. */
  readonly exact?: boolean;
}

export interface Taken {
  readonly got: readonly number[];
  /** Swaps in a row that another thread was faster with. */
  readonly lostMost: number;
  /** Of its swaps, the share that went through. */
  readonly wonShare: number;
}

const NOW_MS = 1_000;
const asked = workerData as Taker;
const { shared, gate, owner, tries, keys, capacity, leaseSize, sweeps, exact } = asked;
const table = openLimitTable(shared, owner);
let lost = 0;
let lostMost = 0;
let tried = 0;
let won = 0;
const swap = table.compareAndSet.bind(table);
table.compareAndSet = (at, expected, value) => {
  const isOurs = swap(at, expected, value);
  tried++;
  if (isOurs) won++;
  lost = isOurs ? 0 : lost + 1;
  if (lost > lostMost) lostMost = lost;
  return isOurs;
};
const crowd = table.row(0);
const limit = new KeyedLimit({
  algorithm: exact ? new SlidingLog(capacity, 0, 1_000) : new MinuteBudget(capacity),
  slots: table,
  rule: 0,
  crowd,
  whenFull: 'refuse',
});
const words = new Int32Array(gate);
Atomics.sub(words, 0, 1);
while (Atomics.load(words, 0) > 0);
const got = leaseSize > 0 ? byLease() : one();
parentPort?.postMessage({ got, lostMost, wonShare: won / tried } satisfies Taken);

/** Keys in another order in each thread, so that they meet at new ones. */
function one(): number[] {
  const subjects = Array.from({ length: keys }, (_, key) => limit.subject(`key-${key}`));
  const got = new Array<number>(keys).fill(0);
  for (let turn = 0; turn < tries; turn++) {
    const key = (turn * owner) % keys;
    if (limit.take(subjects[key], 1, NOW_MS)) got[key]++;
    // What is idle goes; what was taken from is not.
    if (sweeps && turn % 16 === 0) limit.sweep(32, NOW_MS);
  }
  // Whoever got less than there was is not done.
  for (let key = 0; key < keys; key++) while (limit.take(subjects[key], 1, NOW_MS)) got[key]++;
  return got;
}

function byLease(): number[] {
  const subject = limit.subject('key-0');
  while (!table.find(subject));
  const lease = new Lease(limit.algorithm, table, subject.at, { size: leaseSize, heldMs: 1e9 });
  let got = 0;
  for (let turn = 0; turn < tries; turn++) if (lease.take(1, NOW_MS)) got++;
  while (lease.take(1, NOW_MS)) got++;
  return [got];
}
