/** Goal: millrace/testing is enough to test an application: clients without a network, an upstream that fails on demand. Method: whole engines, real workers. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createEngine } from '../../../src/engine/engine.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import {
  type Client,
  connect,
  RefusedError,
  simulatedUpstream,
} from '../../../src/testing/testing.ts';
import { until } from '../../support/until.ts';

function engineOf(t: TestContext, more: UserOptions = {}) {
  const quiet = { admin: { enabled: false }, threads: { workers: 1 } };
  const engine = createEngine({ ...quiet, ...more }, { log: silentLog });
  t.after(() => engine.close());
  return engine;
}

async function upstreamOf(t: TestContext, name: string) {
  const upstream = await simulatedUpstream({ name, tokensPerSecond: 5_000, firstTokenMs: 1 });
  t.after(() => upstream.close());
  return upstream;
}

interface Event {
  readonly type: string;
  readonly delta?: string;
}

async function answer(client: Client, input: string): Promise<Event[]> {
  client.send({ type: 'response.create', response: { model: 'demo', input } });
  const events: Event[] = [];
  for (;;) {
    const event = await client.nextJson<Event>();
    events.push(event);
    if (/^response\.(completed|failed|incomplete)$|^error$/.test(event.type)) return events;
  }
}

test('an answer goes through the whole engine without a port', async (t) => {
  const upstream = await upstreamOf(t, 'a');
  const engine = engineOf(t, {
    upstreams: [{ name: 'a', url: upstream.url, models: ['demo'] }],
  });
  const client = await connect(engine, '/v1/responses');
  const events = await answer(client, 'hello');
  assert.equal(events.at(-1)?.type, 'response.completed');
  assert.ok(events.filter(({ type }) => type === 'response.output_text.delta').length > 0);
  assert.equal(upstream.journal.last?.ending, 'finished');
  client.close();
  await until(() => engine.status().sessions.open === 0, 'the leaving');
});

test('a failing upstream is replaced before the first content', async (t) => {
  const [bad, good] = [await upstreamOf(t, 'bad'), await upstreamOf(t, 'good')];
  bad.faults.set({ status: 503 });
  const engine = engineOf(t, {
    upstreams: [bad, good].map(({ name, url }) => ({ name, url, models: ['demo'] })),
  });
  const client = await connect(engine, '/v1/responses');
  for (let turn = 0; turn < 3; turn++)
    assert.equal((await answer(client, 'hello')).at(-1)?.type, 'response.completed');
  assert.equal(good.journal.requests, 3);
  assert.ok(bad.journal.requests > 0);
});

test('keys, Host and caps are those of every client', async (t) => {
  const engine = engineOf(t, { keys: ['sk-mine'], server: { sessionsMax: 1 } });
  const refusal = async (headers: Record<string, string>) => {
    const error = await connect(engine, '/ws', { headers }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof RefusedError);
    return error.status;
  };
  const authorization = 'Bearer sk-mine';
  assert.equal(await refusal({}), 401);
  assert.equal(await refusal({ authorization, host: 'evil.example' }), 403);
  await connect(engine, '/ws', { headers: { authorization } });
  assert.equal(await refusal({ authorization }), 503);
});

test('a client that does not take is a slow reader: sends wait for it, nothing is lost', async (t) => {
  let sent = 0;
  const engine = engineOf(t, { session: { creditBytes: 16_384 } }).socket('/mine', {
    async open(socket) {
      while (sent < 100 && (await socket.send(String(sent).padEnd(1_000))) === 'sent') sent++;
    },
  });
  const client = await connect(engine, '/mine', { windowBytes: 10_000 });
  await until(() => sent > 20, 'the first ones');
  const stuck = sent;
  assert.ok(stuck < 60, `${stuck} of 100 were sent to nobody`);
  for (let n = 0; n < 100; n++) assert.equal(Number(await client.next()), n);
  await until(() => sent === 100, 'the last');
});

test('a client that answers no ping is closed, one that answers stays', async (t) => {
  const engine = engineOf(t, { server: { pingIntervalMs: 100, idleTimeoutMs: 300 } });
  const [silent, alive] = [
    await connect(engine, '/ws', { pongs: false }),
    await connect(engine, '/ws'),
  ];
  assert.equal(await silent.next(), undefined);
  assert.equal(silent.closed?.code, 1001);
  assert.equal(alive.closed, undefined);
});

test('messages are an iterable that ends with the session, text and binary, and subprotocols are agreed on', async (t) => {
  const engine = engineOf(t);
  const client = await connect(engine, '/ws?x=1', { protocols: ['a', 'b'] });
  assert.equal(client.protocol, 'a');
  client.send('grüße');
  client.send(Uint8Array.of(1, 2));
  const got: unknown[] = [];
  for await (const message of client) {
    got.push(message);
    if (got.length === 2) void engine.close();
  }
  assert.deepEqual(got, ['grüße', Uint8Array.of(1, 2)]);
  assert.equal(client.closed?.code, 1012);
  await assert.rejects(connect(engine, '/ws'));
});

test('a message above the bound closes with 1009, one at the bound passes', async (t) => {
  const engine = engineOf(t, { server: { messageBytesMax: 1_024 } });
  const client = await connect(engine, '/ws');
  client.send('x'.repeat(1_024));
  assert.equal((await client.next())?.length, 1_024);
  client.send('x'.repeat(1_025));
  assert.equal(await client.next(), undefined);
  assert.equal(client.closed?.code, 1009);
});
