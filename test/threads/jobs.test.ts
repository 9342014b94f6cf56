/** The jobs pool with real threads. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createJobs } from '../../src/threads/jobs.ts';

const jobs = createJobs({
  threadsMax: 2,
  entry: new URL('../../src/worker/jobs.js', import.meta.url),
});
after(() => jobs.close());

test('JSON is parsed elsewhere, and what is none rejects', async () => {
  const value = {
    text: 'ü'.repeat(100_000),
    list: Array.from({ length: 1000 }, (_, n) => ({ n })),
  };
  const bytes = Buffer.from(JSON.stringify(value));
  assert.deepEqual(await jobs.run('parse', bytes), value);
  assert.equal(bytes.toString(), JSON.stringify(value), 'the bytes are still ours');
  await assert.rejects(jobs.run('parse', Buffer.from('{"a":')), /JSON/);
});

test('a view into a larger buffer is that view, not the buffer', async () => {
  const pool = Buffer.from('xxxx{"a":1}xxxx');
  assert.deepEqual(await jobs.run('parse', pool.subarray(4, 11)), { a: 1 });
});

test('more jobs than threads all get done; a job that is not there rejects', async () => {
  const many = Array.from({ length: 20 }, (_, n) => jobs.run('parse', Buffer.from(`[${n}]`)));
  assert.deepEqual(
    await Promise.all(many),
    many.map((_, n) => [n]),
  );
  await assert.rejects(jobs.run('nothing', new Uint8Array(0)));
});

test('closing waits for what runs; a pool that never ran closes at once', async () => {
  const short = createJobs({
    threadsMax: 1,
    entry: new URL('../../src/worker/jobs.js', import.meta.url),
  });
  await short.close();
  const running = short.run('parse', Buffer.from(JSON.stringify('x'.repeat(2_000_000))));
  await short.close();
  assert.equal(String(await running).length, 2_000_000);
});
