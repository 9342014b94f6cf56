/** One of the threads that take from one key in micro/policy/limits.ts: begins with the others, takes until nothing is left, says how much it got. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedBytes } from '../../../src/memory/contract.ts';
import { openLimitTable } from '../../../src/memory/limit-table.ts';
import { must } from '../../../src/must.ts';
import { KeyedLimit } from '../../../src/policy/limit/keyed-limit.ts';
import { Lease } from '../../../src/policy/limit/lease.ts';
import { MinuteBudget } from '../../../src/policy/limit/minute-budget.ts';

export interface Contended {
  readonly shared: SharedBytes;
  /** A word: threads that still have to come, then 0. */
  readonly gate: SharedBytes;
  readonly permits: number;
  /** 0: each permit by itself. */
  readonly leaseSize: number;
}

const NOW_MS = 1_000;
const port = parentPort;
must(port, 'this file is the entry of a thread');
const { shared, gate, permits, leaseSize } = workerData as Contended;
const table = openLimitTable(shared);
const crowd = table.row(0);
const limit = new KeyedLimit({
  algorithm: new MinuteBudget(permits),
  slots: table,
  rule: 0,
  crowd,
  whenFull: 'refuse',
});
const subject = limit.subject('hot');
while (!table.find(subject));

function takeAll(): number {
  let got = 0;
  if (leaseSize === 0) {
    while (limit.take(subject, 1, NOW_MS)) got++;
    return got;
  }
  const lease = new Lease(limit.algorithm, table, subject.at, { size: leaseSize, heldMs: 1e9 });
  while (lease.take(1, NOW_MS)) got++;
  return got;
}

/** Compiled before it counts; what it takes goes back. */
for (let warm = 0; warm < 200_000; warm++) limit.take(subject, 1, NOW_MS);
limit.give(subject, 200_000, NOW_MS);
const words = new Int32Array(gate);
if (Atomics.sub(words, 0, 1) === 1) Atomics.notify(words, 0);
else
  for (let left = Atomics.load(words, 0); left > 0; left = Atomics.load(words, 0))
    Atomics.wait(words, 0, left, 100);
const fromMs = performance.now();
const got = takeAll();
port.postMessage({ got, ms: performance.now() - fromMs });
