/**
 * Goal: the native addon works on main and on many threads that come and go at once; what a thread kept goes with it. Method: threads
 * that all compress the same shared bytes, every second one terminated in the middle of its work; the process' memory afterwards.
 * SLOW=1: 200 threads.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { loadSource } from '../../src/codec/sources.ts';
import { noAddon } from '../support/codec/addon.ts';
import { textOf } from '../support/codec/samples.ts';
import { seeded } from '../support/seed.ts';

const count = process.env['SLOW'] === '1' ? 200 : 40;
const AT_ONCE = 8;

async function one(shared: Uint8Array, forever: boolean): Promise<void> {
  const worker = new Worker(new URL('codec-worker.js', import.meta.url), {
    workerData: { shared, forever },
  });
  const ended = once(worker, 'exit');
  const first = await Promise.race([once(worker, 'message'), ended]);
  assert.equal(first[0], 'worked');
  if (forever) await worker.terminate();
  const [code] = await ended;
  assert.equal(code, forever ? 1 : 0);
}

async function crowd(shared: Uint8Array, many: number): Promise<void> {
  const gzip = loadSource('native').source?.coders.gzip;
  for (let begun = 0; begun < many; begun += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, at) => one(shared, at % 2 === 1));
    // Main works meanwhile.
    const packed = gzip?.compress(shared, 6);
    assert.ok(packed && gzip && Buffer.compare(gzip.decompress(packed, 20_000), shared) === 0);
    await Promise.all(batch);
  }
}

test(`${count} threads use the addon and end or are terminated, and memory stays`, {
  skip: noAddon,
}, async () => {
  const { next } = seeded('native threads');
  const shared = new Uint8Array(new SharedArrayBuffer(20_000));
  shared.set(textOf(next, 20_000));
  // What threads cost once: their allocator's arenas and the compiled code.
  await crowd(shared, 24);
  const before = process.memoryUsage.rss();
  await crowd(shared, count);
  const grown = process.memoryUsage.rss() - before;
  // A thread whose contexts stayed would leave more than 1 MiB.
  assert.ok(grown < 8 * 2 ** 20 + count * 0.1 * 2 ** 20, `${count} threads left ${grown} bytes`);
});
