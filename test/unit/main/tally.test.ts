/** What a scrape reads of all threads: sums, greatest values, and gauges that are looked up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeGauges } from '../../../src/main/gauges.ts';
import { Tally } from '../../../src/main/tally.ts';
import { allocateCounters, openCounters } from '../../../src/memory/counters.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { dimensionsOf, schedule } from '../../../src/observe/metrics.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { MAIN_ROW, WORKER_ROW } from '../../../src/threads/roster.ts';

function setting() {
  const upstreams = ['a', 'b'].map((name) => ({ name, url: 'http://127.0.0.1:1/v1' }));
  const plan = schedule(dimensionsOf(resolveOptions({ code: { upstreams } }).options));
  const shared = allocateCounters(WORKER_ROW + 2, plan.size);
  const block = (row: number) => openCounters(shared, row, plan.size);
  return { plan, tally: new Tally(shared, plan, 2), block };
}

test('counts add up over threads, lateness is that of the latest', () => {
  const { plan, tally, block } = setting();
  const worker = plan.index('millrace_loop_lag_seconds', 1);
  const running = plan.index('millrace_streams_running');
  block(WORKER_ROW).set(worker, 0.25);
  block(WORKER_ROW + 1).set(worker, 0.5);
  block(WORKER_ROW).set(running, 3);
  block(WORKER_ROW + 1).set(running, 4);
  const read = tally.read();
  assert.deepEqual([read[worker], read[running]], [0.5, 7]);
});

test('a lost worker’s gauges are forgotten in every series, its counts are kept', () => {
  const { plan, tally, block } = setting();
  const worker = plan.index('millrace_loop_lag_seconds', 1);
  const flight = plan.index('millrace_upstream_in_flight', 1);
  const sent = plan.index('millrace_deltas_total');
  for (const at of [worker, flight, sent]) block(WORKER_ROW).set(at, 5);
  tally.fold(0);
  const read = tally.read();
  assert.deepEqual([read[worker], read[flight], read[sent]], [0, 0, 5]);
});

test('gauges of the upstream table say what the table says at that moment', () => {
  const { plan, tally, block } = setting();
  const table = openUpstreamTable(allocateUpstreamTable(2, 2));
  table.set(1, UpstreamWord.capacity, 9);
  table.set(1, UpstreamWord.health, 2);
  table.set(1, UpstreamWord.drained, 1);
  table.claim(0, 1);
  table.acquire(1, 0);
  table.acquire(1, 1);
  const mine = block(MAIN_ROW);
  table.set(1, UpstreamWord.present, 1);
  const upstreams = ['a', 'b'];
  const write = () =>
    writeGauges({ block: mine, schedule: plan, table, upstreams, serving: () => 2 });
  const names = ['in_flight', 'capacity', 'healthy', 'drained', 'circuits_open'] as const;
  const values = (upstream: number) =>
    names.map((name) => tally.read()[plan.index(`millrace_upstream_${name}`, upstream)]);
  write();
  assert.deepEqual(values(0), [0, 0, 0, 0, 0]);
  assert.deepEqual(values(1), [2, 9, 1, 1, 0]);
  assert.equal(tally.read()[plan.index('millrace_workers_serving')], 2);
  table.release(1, 0, true);
  write();
  write();
  assert.equal(values(1)[0], 1, 'looked up, not added');
});
