/** Options change under running streams: nothing is lost, what was removed runs out, and what cannot change says so. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { MillraceError } from '../../src/errors.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { type SimulatedServer, startSimulated } from '../../src/simulate/server.ts';
import { open, type RefusedError } from '../support/client.ts';
import { startEngineProcess } from '../support/engine-process.ts';
import { answer, ask, assertWhole, type Event, isDelta, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const STREAMS = 50;
const UPDATES = 20;
const NAMES = ['a', 'b', 'c', 'd'];

function startAll(): Promise<SimulatedServer[]> {
  return Promise.all(
    NAMES.map((name) => startSimulated({ name, tokensPerSecond: 100, firstTokenMs: 10 })),
  );
}

describe('an engine whose options change', () => {
  let servers: SimulatedServer[];
  let engine: Engine;
  let url: string;
  const upstream = (at: number, more: object = {}) => ({
    name: NAMES[at],
    url: servers[at].url,
    models: ['demo'],
    ...more,
  });
  const base: UserOptions = {
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    threads: { workers: 2 },
    session: { runningRequestsMax: 64 },
  };
  const inFlight = (name: string) => {
    const { upstreams, leaving } = engine.status();
    return [...upstreams, ...leaving].find((each) => each.name === name)?.inFlight ?? 0;
  };

  before(async () => {
    servers = await startAll();
    engine = createEngine({ ...base, upstreams: [upstream(0), upstream(1)] });
    ({ url } = await engine.listen());
    url = `${url}/v1/responses`;
  });
  after(async () => {
    await engine.close();
    await Promise.all(servers.map((server) => server.close()));
  });

  test(`${STREAMS} running streams lose nothing through ${UPDATES} updates`, async () => {
    const clients = await Promise.all(Array.from({ length: STREAMS }, () => open(url)));
    for (const client of clients) ask(client, '@tokens 150\n@fault rate=100');
    const firsts = await Promise.all(
      clients.map((client) => client.collectJson<Event>(isDelta, 10_000)),
    );
    let changes = 0;
    for (let n = 1; n <= UPDATES; n++) {
      const chosen = [n % 4, (n + 1) % 4].map((at) => upstream(at, { weight: 1 + (n % 7) }));
      const updated = await engine.update({
        ...base,
        upstreams: chosen,
        stream: { gapTimeoutMs: 20_000 + n },
        balance: { healthCheckIntervalMs: 1_000 + n },
      });
      changes += updated.length;
    }
    assert.ok(changes > 4 * UPDATES, `${changes} changes`);
    const rests = await Promise.all(clients.map((client) => answer(client, 20_000)));
    for (const [at, rest] of rests.entries()) {
      const events = [...firsts[at], ...rest];
      assert.equal(assertWhole(events).type, 'response.completed');
      const deltas = textOf(events);
      assert.ok(deltas.length > 150, `${deltas.length} characters of 150 tokens`);
    }
    await until(
      () => NAMES.every((name) => inFlight(name) === 0),
      'nothing in flight, at removed upstreams either',
    );
    assert.equal(engine.status().epoch, 1 + UPDATES);
    await Promise.all(clients.map((client) => client.close()));
  });

  test('new streams go to new upstreams, a removed one keeps its streams until they end', async () => {
    await engine.update({ ...base, upstreams: [upstream(0)] });
    const client = await open(url);
    ask(client, '@tokens 60\n@fault rate=60');
    const first = await client.collectJson<Event>(isDelta, 10_000);
    await engine.update({ ...base, upstreams: [upstream(3)] });
    assert.equal(inFlight('a'), 1);
    assert.deepEqual(engine.status().leaving, [{ name: 'a', inFlight: 1 }]);
    const other = await open(url);
    ask(other, '@echo over there');
    const events = await answer(other);
    assert.equal(textOf(events), 'over there');
    const told = events[events.length - 1].response?.x_millrace as { upstream?: string };
    assert.equal(told.upstream, 'd');
    assert.equal(assertWhole([...first, ...(await answer(client))]).type, 'response.completed');
    await until(() => inFlight('a') === 0, 'its streams have ended');
    assert.deepEqual(engine.status().leaving, []);
    const metrics = await engine.metrics.exportText();
    assert.match(metrics, /millrace_upstream_attempts_total\{upstream="a"\} [1-9]/);
    await Promise.all([client.close(), other.close()]);
  });

  test('an upstream behind another URL is asked there at once, under its name', async () => {
    await engine.update({ ...base, upstreams: [upstream(0)] });
    const before = servers[1].journal.entries.length;
    await engine.update({ ...base, upstreams: [upstream(0, { url: servers[1].url })] });
    const client = await open(url);
    ask(client, '@echo moved');
    assert.equal(textOf(await answer(client)), 'moved');
    assert.equal(servers[1].journal.entries.length, before + 1);
    await client.close();
  });

  test('what needs a restart is refused with every such option, and nothing of the rest is applied', async () => {
    const before = engine.options;
    const { epoch } = engine.status();
    await assert.rejects(
      engine.update({
        ...base,
        server: { port: 1 },
        paths: { echo: '/other' },
        stream: { gapTimeoutMs: 1 },
        upstreams: [],
      }),
      (error) =>
        error instanceof MillraceError &&
        error.code === 'MILLRACE_OPTION_FIXED' &&
        /server\.port 0 → 1: needs a restart\npaths\.echo "\/ws" → "\/other": needs a restart$/.test(
          error.message,
        ),
    );
    await assert.rejects(engine.update({ stream: { gapTimeoutMs: -1 } }), /stream\.gapTimeoutMs/);
    assert.equal(engine.options, before);
    assert.equal(engine.status().epoch, epoch);
    assert.deepEqual(await engine.update(before), []);
  });

  test('a removed key ends its sessions with 1008 and lets no new one in; another key goes on', async () => {
    const upstreams = [upstream(0)];
    const by = (key: string) => open(url, { headers: { authorization: `Bearer ${key}` } });
    await engine.update({ ...base, upstreams, keys: ['first-key', 'second-key'] });
    const [first, second] = await Promise.all([by('first-key'), by('second-key')]);
    await engine.update({ ...base, upstreams, keys: ['second-key'] });
    assert.equal((await first.closed).code, 1008);
    await assert.rejects(by('first-key'), (error) => (error as RefusedError).status === 401);
    ask(second, '@echo still here');
    assert.equal(textOf(await answer(second)), 'still here');
    await second.close();
    await engine.update({ ...base, upstreams });
  });
});

test('options that change while the coordinator dies: streams go on, and the next one serves them', async () => {
  const servers = await startAll();
  const upstreams = servers.map(({ url }, at) => ({ name: NAMES[at], url, models: ['demo'] }));
  const base: UserOptions = {
    server: { port: 0 },
    admin: { port: 0 },
    threads: { workers: 2, heartbeatMs: 20, hungAfterMs: 400 },
  };
  const engine = await startEngineProcess({ ...base, upstreams: upstreams.slice(0, 1) });
  const client = await open(`${engine.url}/v1/responses`);
  const other = await open(`${engine.url}/v1/responses`);
  ask(client, '@tokens 200\n@fault rate=100');
  const first = await client.collectJson<Event>(isDelta, 10_000);
  for (const fault of ['exit', 'hang'] as const) {
    const struck = engine.strike('coordinator', fault);
    for (const at of [1, 2, 3]) {
      await engine.update({ ...base, upstreams: [upstreams[at]] });
      ask(other, '@echo here');
      const events = await answer(other);
      assert.equal(textOf(events), 'here');
      const told = events[events.length - 1].response?.x_millrace as { upstream?: string };
      assert.equal(told.upstream, NAMES[at]);
    }
    await struck;
  }
  assert.equal(assertWhole([...first, ...(await answer(client))]).type, 'response.completed');
  assert.equal(engine.facts('coordinator-lost').length, 2);
  await Promise.all([client.close(), other.close()]);
  assert.equal(await engine.close(), 0);
  await Promise.all(servers.map((server) => server.close()));
});
