/**
 * Goal: whatever upstreams, clients, operators and dying threads do, no answer is lost in silence, doubled or mixed up, and nothing is held by anyone afterwards.
 * Method: the whole engine in simulated time, one life a seed: a storm drawn from it, then peace, then the accounts (test/support/swarm.ts). 1,000 seeds, those
 * that failed once, and a hundredth of them twice: the same seed plays the same life. SLOW=1 plays 20,000. `npm run sim -- --seed N` shows one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../support/seed.ts';
import { type Played, playAll } from '../support/swarm-runner.ts';
import { upstreamFaults } from '../support/swarm-upstream.ts';
import { disturbances } from '../support/swarm-world.ts';
import { keptSeeds } from './seeds.ts';

const COUNT = process.env['SLOW'] ? 20_000 : 1_000;
/** Every run plays the same lives, so that a change is judged by what it changed; SLOW=1 and SEED=n play others. */
const FIRST = 1_000_000;
const firstSeed = (what: string) =>
  process.env['SLOW'] || process.env['SEED'] ? seeded(what).seed : FIRST;
const PROCESSES = 2;

function assertAll(played: readonly Played[]): void {
  const failed = played.filter(({ failure }) => failure !== undefined);
  const said = failed
    .slice(0, 5)
    .map(({ seed, failure }) => `npm run sim -- --seed ${seed}\n${failure}`);
  assert.equal(failed.length, 0, `${failed.map(({ seed }) => seed).join()}\n${said.join('\n\n')}`);
}

test('the seeds that failed once', async () => {
  assertAll(
    await playAll(
      keptSeeds.map(([seed]) => seed),
      PROCESSES,
    ),
  );
});

test('a storm of everything that can go wrong, then peace: one end for each request, a prefix of one upstream’s words, nothing left over', async (t) => {
  const seed = firstSeed('swarm');
  const seeds = Array.from({ length: COUNT }, (_, at) => (seed + at) % 2 ** 31);
  const played = await playAll(seeds, PROCESSES);
  assertAll(played);
  const met = new Map<string, number>();
  for (const life of played)
    for (const [what, count] of Object.entries(life.met))
      met.set(what, (met.get(what) ?? 0) + count);
  t.diagnostic(JSON.stringify(Object.fromEntries(met)));
  // Storms that met nothing prove nothing.
  const wanted = [
    ...upstreamFaults,
    ...disturbances,
    ...facts,
    'complete',
    'failed',
    'cancelled',
    'complained',
    'cutOff',
  ];
  assert.deepEqual(
    wanted.filter((what) => !met.has(what)),
    [],
    'met by no life',
  );
});

const facts = [
  'worker-lost',
  'coordinator-lost',
  'upstream-circuit',
  'stream-lost',
  'stream-ended',
];

test('the same seed plays the same life', async () => {
  const seed = firstSeed('swarm twice');
  const seeds = Array.from({ length: COUNT / 100 }, (_, at) => (seed + at) % 2 ** 31);
  const [first, second] = await Promise.all([playAll(seeds, 1), playAll(seeds, 1)]);
  assert.deepEqual(second, first);
  assert.equal(
    new Set(first.map(({ hash }) => hash)).size,
    seeds.length,
    'every seed has a life of its own',
  );
});
