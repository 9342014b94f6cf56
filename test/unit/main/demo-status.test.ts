/** Goal: /demo/status tells the page what it shows, tells nobody about others, and stays bounded. Method: facts by hand, a real table, a clock by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import type { RequestHead } from '../../../src/main/backend/backend.ts';
import { DemoStatus } from '../../../src/main/demo-status.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { dimensionsOf, schedule } from '../../../src/observe/metrics.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { Circuit, CircuitWord } from '../../../src/policy/circuit.ts';
import type { StreamEnded } from '../../../src/threads/facts.ts';
import { firstConfiguration } from '../../support/first-configuration.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';

const { options } = resolveOptions({
  code: {
    demo: { enabled: true },
    upstreams: [
      { name: 'simulated-a', url: 'http://127.0.0.1:1/v1' },
      { name: 'secretive', url: 'https://user.example/v1', apiKey: 'sk-canary' },
    ],
  },
});

interface Told {
  readonly upstreams: Record<string, unknown>[];
  readonly failures: Record<string, unknown>[];
}

function watch() {
  const world = new SimulatedWorld();
  const table = openUpstreamTable(allocateUpstreamTable(2, 1));
  const series = schedule(dimensionsOf(options));
  const numbers = new Float64Array(series.size);
  const status = new DemoStatus({
    configured: { now: firstConfiguration(options) },
    table,
    series,
    tally: { read: () => numbers },
    clock: world.clock,
  });
  const ask = (query = ''): Told => {
    const reply = status.reply({ query } as RequestHead);
    assert.equal(reply.headers['cache-control'], 'no-store');
    return JSON.parse(String(reply.body)) as Told;
  };
  const failed = (responseId: string) => {
    const error = new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'simulated-a' });
    const upstream = 'simulated-a';
    status.hear({ fact: 'attempt-failed', stream: 1, responseId, upstream, error: error.toWire() });
  };
  return { world, table, series, numbers, status, ask, failed };
}

test('failed attempts are told to whoever knows the response, with their age', async () => {
  const { world, ask, failed } = watch();
  failed('resp_mine');
  await world.pass(40);
  failed('resp_theirs');
  assert.deepEqual(ask().failures, []);
  assert.deepEqual(ask('responses=').failures, []);
  assert.deepEqual(ask('responses=resp_mine,resp_other').failures, [
    {
      response: 'resp_mine',
      upstream: 'simulated-a',
      code: 'MILLRACE_UPSTREAM_TRUNCATED',
      text: 'upstream simulated-a ended its stream before it was complete',
      agoMs: 40,
    },
  ]);
});

test('what is remembered is bounded: the oldest goes first', () => {
  const { ask, failed } = watch();
  failed('resp_first');
  for (let n = 0; n < 255; n += 1) failed('resp_many');
  assert.equal(ask('responses=resp_first').failures.length, 1);
  failed('resp_many');
  assert.equal(ask('responses=resp_first').failures.length, 0);
  assert.equal(ask('responses=resp_many').failures.length, 256);
});

test('upstreams come with state and numbers, without addresses and keys', async () => {
  const { world, table, series, numbers, status, ask } = watch();
  for (const at of [0, 1]) table.set(at, UpstreamWord.health, 2);
  table.set(0, UpstreamWord.cooldownUntil, (world.clock.wall() + 3_000) | 0);
  numbers[series.index('millrace_upstream_attempts_total', 1)] = 7;
  numbers[series.index('millrace_upstream_failures_total', 1)] = 2;
  for (const firstMs of [10, -1, 500, 30]) {
    const tries = [{ upstream: 'secretive', firstMs }];
    status.hear({ fact: 'stream-ended', tries } as unknown as StreamEnded);
  }
  const [first, second] = ask().upstreams;
  assert.deepEqual(second, {
    name: 'secretive',
    simulated: false,
    state: 'up',
    circuit: 'closed',
    inFlight: 0,
    attempts: 7,
    failed: 2,
    firstTokenMs: 30,
    restMs: 0,
  });
  assert.deepEqual(
    [first['simulated'], first['state'], first['restMs'], first['firstTokenMs']],
    [true, 'resting', 3_000, null],
  );
  await world.pass(3_001);
  assert.equal(ask().upstreams[0]['state'], 'up');
  table.circuit(0, 3).store(CircuitWord.state, Circuit.halfOpen);
  assert.equal(ask().upstreams[0]['circuit'], 'half-open');
  table.circuit(0, 5).store(CircuitWord.state, Circuit.open);
  assert.equal(ask().upstreams[0]['circuit'], 'open');
  assert.equal(ask().upstreams[0]['state'], 'failing');
  table.set(0, UpstreamWord.drained, 1);
  assert.equal(ask().upstreams[0]['state'], 'drained');
  table.set(0, UpstreamWord.health, 0);
  assert.equal(ask().upstreams[0]['state'], 'down');
  assert.doesNotMatch(JSON.stringify(ask()), /canary|example|http/);
});
