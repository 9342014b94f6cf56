/**
 * Goal: ending the jobs pool under load aborts nothing and loses nothing: every job that was taken settles, whatever codec it is in. Method: many
 * lives of a pool, each closed while its threads compress. SLOW=1: 500 of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isServed } from '../../src/codec/choice.ts';
import { type CodecName, codecNames, levels } from '../../src/codec/codec.ts';
import { createJobs } from '../../src/threads/jobs.ts';
import { textOf } from '../support/codec/samples.ts';
import { seeded } from '../support/seed.ts';

const LIVES = process.env['SLOW'] === '1' ? 125 : 5;
const JOBS = 6;
const { next } = seeded('codec jobs');
const bytes = textOf(next, 150_000);
const entry = new URL('../../src/worker/jobs.js', import.meta.url);

for (const codec of codecNames.filter((name) => isServed(name))) {
  test(`${LIVES} pools are closed in the middle of ${codec}: every job still answers`, async () => {
    for (let life = 0; life < LIVES; life++) await live(codec);
  });
}

async function live(codec: CodecName): Promise<void> {
  const jobs = createJobs({ threadsMax: 2, entry });
  const job = { codec, level: levels[codec].normal, hash: undefined, bytes };
  const running = Array.from({ length: JOBS }, () => jobs.run('compress', job));
  const [first] = running;
  await first;
  const closed = jobs.close();
  const made = (await Promise.all(running)) as Uint8Array[];
  await closed;
  assert.ok(made.every(({ byteLength }) => byteLength > 0 && byteLength < bytes.byteLength / 2));
}
