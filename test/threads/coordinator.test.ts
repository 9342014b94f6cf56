/** The coordinator on its own thread, over its channel and the shared table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpstreamWord } from '../../src/memory/layout.ts';
import { openThreadCells } from '../../src/memory/thread-cells.ts';
import { openUpstreamTable } from '../../src/memory/upstream-table.ts';
import { dimensionsOf, schedule } from '../../src/observe/metrics.ts';
import { schema } from '../../src/options/schema.ts';
import { Circuit, CircuitWord, circuitState } from '../../src/policy/circuit.ts';
import { allocateShared } from '../../src/threads/allocate.ts';
import type { Fact } from '../../src/threads/facts.ts';
import type { FromCoordinator } from '../../src/threads/messages.ts';
import { COORDINATOR_ROW } from '../../src/threads/roster.ts';
import { spawnCoordinator } from '../../src/threads/spawn.ts';
import { firstConfiguration } from '../support/first-configuration.ts';
import { until } from '../support/until.ts';

const options = schema.parse({
  upstreams: [{ name: 'one', url: 'http://127.0.0.1:9/v1' }],
  balance: { healthCheckIntervalMs: 60_000 },
  threads: { heartbeatMs: 10 },
});
const shared = allocateShared(options, 1, schedule(dimensionsOf(options)).size);
const cells = openThreadCells(shared.threads);
const table = openUpstreamTable(shared.upstreams);

function start() {
  const generation = cells.renew(COORDINATOR_ROW);
  const thread = spawnCoordinator({ generation, ...firstConfiguration(options), shared });
  const said: FromCoordinator[] = [];
  thread.channel.listen((message) => void said.push(message));
  const heard = (type: FromCoordinator['type']) => said.filter((message) => message.type === type);
  return { thread, said, heard };
}

test('it writes the board, beats, drains by hand with an answer, follows changed options and stops; a second one takes over', async () => {
  const { thread, said, heard } = start();
  await until(() => heard('ready').length === 1, 'ready');
  assert.equal(table.get(0, UpstreamWord.present), 1);
  const beats = cells.beats(COORDINATOR_ROW);
  await until(() => cells.beats(COORDINATOR_ROW) > beats + 2, 'heartbeats');

  thread.channel.post({ type: 'drain', upstream: 'one', drained: true, id: 7 });
  thread.channel.post({ type: 'drain', upstream: 'nobody', drained: true, id: 8 });
  await until(() => heard('answer').length === 2, 'two answers');
  const [good, bad] = heard('answer') as Extract<FromCoordinator, { type: 'answer' }>[];
  assert.deepEqual([good.id, good.error], [7, undefined]);
  assert.deepEqual([bad.id, bad.error?.code], [8, 'MILLRACE_FIELD_INVALID']);
  assert.equal(table.get(0, UpstreamWord.drained), 1);
  assert.ok(
    said.some((message) => message.type === 'fact' && message.fact.fact === 'upstream-drain'),
  );

  thread.channel.post({ type: 'weigh', upstream: 'one', weight: 30, id: 10 });
  await until(() => heard('answer').length === 3, 'the third answer');
  assert.equal(table.get(0, UpstreamWord.weight), 30);
  const weighed = { fact: 'upstream-weight', upstream: 'one', weight: 30, byHand: true };
  await until(() => heard('fact').length === 2, 'both are said');
  assert.deepEqual(said.at(-1), { type: 'fact', fact: weighed });
  thread.channel.post({ type: 'weigh', upstream: 'one', weight: 0, id: 11 });
  await until(() => heard('answer').length === 4, 'the fourth answer');

  const changed = schema.parse({
    ...options,
    upstreams: [
      { name: 'two', url: 'http://127.0.0.1:9/v1' },
      { name: 'one', url: 'http://127.0.0.1:9/v1', weight: 5 },
    ],
  });
  const seats = [
    { row: 1, since: 2 },
    { row: 0, since: 1 },
  ];
  const configuration = { epoch: 2, options: changed, seats };
  thread.channel.post({ type: 'configure', configuration, id: 9 });
  await until(() => heard('answer').length === 5, 'the answer to changed options');
  const word = (row: number, name: keyof typeof UpstreamWord) => table.get(row, UpstreamWord[name]);
  assert.deepEqual([word(1, 'present'), word(1, 'epoch'), word(1, 'weight')], [1, 2, 1]);
  assert.deepEqual([word(0, 'weight'), word(0, 'drained')], [5, 1], 'who stays keeps its marks');

  thread.channel.post({ type: 'stop' });
  await until(() => heard('stopped').length === 1, 'stopped');
  await thread.end();

  const next = start();
  await until(() => next.heard('ready').length === 1, 'the next one is ready');
  assert.equal(table.get(0, UpstreamWord.drained), 1, 'what an operator said stays said');
  await next.thread.end();
});

test('answers that fail too often open a circuit: the coordinator looks by itself, and soon again while they fail', async () => {
  const many = schema.parse({
    ...options,
    upstreams: ['one', 'two'].map((name) => ({
      name,
      url: 'http://127.0.0.1:9/v1',
      models: ['m'],
    })),
  });
  const own = allocateShared(many, 1, schedule(dimensionsOf(many)).size);
  const its = openThreadCells(own.threads);
  const generation = its.renew(COORDINATOR_ROW);
  const thread = spawnCoordinator({ generation, ...firstConfiguration(many), shared: own });
  const facts: Fact[] = [];
  let ready = false;
  thread.channel.listen((message) => {
    if (message.type === 'ready') ready = true;
    if (message.type === 'fact') facts.push(message.fact);
  });
  await until(() => ready, 'ready');
  const upstreams = openUpstreamTable(own.upstreams);
  const cell = upstreams.circuit(1, 0);
  // Once it has seen the circuit as it was, every look brings it nearer.
  await until(() => {
    cell.add(CircuitWord.succeeded, 2);
    cell.add(CircuitWord.failed, 1);
    return circuitState(cell) === Circuit.open;
  }, 'the circuit is open');
  await until(() => facts.length > 0, 'the fact');
  const [{ successShare, ...fact }] = facts as Extract<Fact, { fact: 'upstream-circuit' }>[];
  assert.deepEqual(fact, {
    fact: 'upstream-circuit',
    upstream: 'two',
    model: 'm',
    change: 'opened',
  });
  assert.ok(successShare !== undefined && successShare > 0.6 && successShare < 0.8);
  assert.equal(circuitState(upstreams.circuit(0, 0)), Circuit.closed);
  await thread.end();
});

test('one that finds itself replaced stops beating', async () => {
  const { thread, heard } = start();
  await until(() => heard('ready').length === 1, 'ready');
  cells.renew(COORDINATOR_ROW);
  let same = 0;
  let beats = -1;
  await until(() => {
    same = cells.beats(COORDINATOR_ROW) === beats ? same + 1 : 0;
    beats = cells.beats(COORDINATOR_ROW);
    return same > 10;
  }, 'silence');
  await thread.end();
});
