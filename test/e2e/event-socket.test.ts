/**
 * Goal: an upstream that is asked over its WebSocket is as good as one over HTTP. Method: the WebSocket of a second engine, whose own upstream is simulated and fails on
 * demand: two implementations of one protocol against each other, over real sockets.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { type SimulatedServer, startSimulated } from '../../src/simulate/server.ts';
import { open, type TestClient } from '../support/client.ts';
import { answer, ask, assertWhole, type Event, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const quiet = { admin: { enabled: false }, log: { level: 'silent' as const } };

async function engineBefore(url: string, more: object = {}): Promise<[Engine, TestClient]> {
  const engine = createEngine({
    ...quiet,
    server: { port: 0 },
    threads: { workers: 1 },
    upstreams: [
      { name: 'socket', provider: 'openai-responses', url, models: ['demo'], apiKey: 'key-of-it' },
    ],
    stream: { gapTimeoutMs: 1_000, maxRetries: 0, finishGraceMs: 300 },
    ...more,
  });
  const { url: own } = await engine.listen();
  return [engine, await open(`${own}/v1/responses`)];
}

async function said(client: TestClient, prompt: string, more: object = {}): Promise<Event[]> {
  ask(client, prompt, more);
  const events = await answer(client);
  assertWhole(events);
  return events;
}

describe('another engine as the upstream', () => {
  let simulated: SimulatedServer;
  let back: Engine;
  let engine: Engine;
  let client: TestClient;
  before(async () => {
    simulated = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 2_000, jitter: 0 });
    back = createEngine({
      ...quiet,
      server: { port: 0 },
      threads: { workers: 1 },
      keys: ['key-of-it'],
      upstreams: [{ name: 'llm', url: simulated.url, models: ['demo'] }],
      stream: { maxRetries: 0, gapTimeoutMs: 5_000 },
    });
    const { url } = await back.listen();
    [engine, client] = await engineBefore(`${url}/v1`);
  });
  after(async () => {
    await client.close();
    await engine.close();
    await back.close();
    await simulated.close();
  });
  const sessions = () => back.status().sessions.open;

  test('text, reasoning, tool calls and usage come through; one socket serves turn after turn, also those that continue', async () => {
    const text = 'the wheel turns: größe 水車 🌊 "quoted" end';
    const first = await said(client, `@echo ${text}`);
    assert.equal(textOf(first), text);
    assert.ok((first.at(-1)?.response?.usage?.output_tokens ?? 0) > 3);
    const previous = first.at(-1)?.response?.id;
    const next = await said(client, '@echo and on', { previous_response_id: previous });
    assert.equal(textOf(next), 'and on');
    const thoughts = await said(client, '@echo well\n@reason');
    assert.ok(thoughts.some(({ type }) => type.startsWith('response.reasoning')));
    assert.equal(textOf(thoughts), 'well');
    assert.equal(sessions(), 1);
  });

  test('answers beside each other have a socket each; a cancel closes its own', async () => {
    const lanes = ['a', 'b', 'c'];
    for (const lane of lanes) ask(client, '@tokens 10000', { stream_id: lane });
    await until(() => sessions() === 3, 'three sockets');
    for (const lane of lanes) client.send({ type: 'response.cancel', stream_id: lane });
    await until(() => sessions() <= 1, 'they are closed');
    await until(() => engine.status().upstreams.every(({ inFlight }) => inFlight === 0), 'idle');
  });
});

describe('the simulated upstream over its WebSocket', () => {
  let simulated: SimulatedServer;
  let engine: Engine;
  let client: TestClient;
  before(async () => {
    simulated = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 2_000, jitter: 0 });
    [engine, client] = await engineBefore(`${simulated.socketOrigin}/v1`, {
      stream: { gapTimeoutMs: 300, headersTimeoutMs: 300, maxRetries: 0, finishGraceMs: 300 },
    });
  });
  after(async () => {
    await client.close();
    await engine.close();
    await simulated.close();
  });

  test('whole answers on one socket: text, reasoning, tool calls, usage', async () => {
    const text = 'größe 水車 🌊 "quoted"';
    const first = await said(client, `@echo ${text}`);
    assert.equal(textOf(first), text);
    assert.ok((first.at(-1)?.response?.usage?.output_tokens ?? 0) > 3);
    const thoughts = await said(client, '@echo well\n@reason');
    assert.ok(thoughts.some(({ type }) => type.startsWith('response.reasoning')));
    const tools = [{ type: 'function', name: 'look', parameters: { type: 'object' } }];
    const called = await said(client, '@tool look {"at":"wheel"}', { tools });
    assert.ok(
      JSON.stringify(called.at(-1)).includes(JSON.stringify('{"at":"wheel"}').slice(1, -1)),
    );
    assert.equal(simulated.journal.entries.length, 3);
    assert.equal(simulated.connections, 1);
  });

  const faults: readonly (readonly [string, string, string])[] = [
    ['reset-after=2', 'a b', 'upstream_reset'],
    ['cut-after=2', 'a b', 'upstream_reset'],
    ['end-after=2', 'a b', 'upstream_reset'],
    ['end-after=2 close-code=1011', 'a b', 'upstream_reset'],
    ['stall-after=2', 'a b', 'upstream_gap_timeout'],
    ['malformed-after=2', 'a b', 'upstream_malformed'],
    ['error-after=2', 'a b', 'upstream_error'],
    ['no-finish', 'a b c d', 'upstream_gap_timeout'],
    ['reset-before-headers', '', 'upstream_reset'],
    ['stall-headers=0', '', 'upstream_connect_timeout'],
    ['status=503', '', 'upstream_status'],
    ['split=1,7 escapes', 'a b c d', ''],
  ];
  for (const [fault, text, code] of faults)
    test(`${fault}: ${code === '' ? 'nothing is lost' : 'one failure, and what had come before it'}`, async () => {
      const events = await said(client, `@echo a b c d\n@fault ${fault}`);
      assert.equal(textOf(events), text);
      const end = events.at(-1);
      assert.equal(end?.response?.error?.code ?? end?.error?.code ?? '', code);
      await until(() => simulated.streams === 0, 'the upstream to be left');
    });

  test('a conversation is continued by the id of its last response where the upstream may be asked so, and told whole where it has forgotten', async (t) => {
    const [own, asking] = await engineBefore('', {
      upstreams: [
        {
          name: 'socket',
          provider: 'openai-responses',
          url: `${simulated.socketOrigin}/v1`,
          models: ['demo'],
          continuesById: true,
        },
      ],
    });
    t.after(async () => {
      await asking.close();
      await own.close();
    });
    const asked = () => {
      const { body = '', request } = simulated.journal.last ?? {};
      return [body.includes('previous_response_id'), request?.messages.map(({ role }) => role)];
    };
    let previous: string | undefined;
    const turn = async (prompt: string) => {
      const events = await said(asking, prompt, previous ? { previous_response_id: previous } : {});
      previous = events.at(-1)?.response?.id;
      return textOf(events);
    };
    assert.equal(await turn('@echo one'), 'one');
    assert.deepEqual(asked(), [false, ['user']]);
    assert.equal(await turn('@echo two'), 'two');
    assert.deepEqual(asked(), [true, ['user', 'assistant', 'user']]);
    simulated.faults.resetAll();
    await until(() => simulated.connections === 0, 'its sockets to be gone');
    assert.equal(await turn('@echo three'), 'three');
    assert.deepEqual(asked(), [false, ['user', 'assistant', 'user', 'assistant', 'user']]);
  });

  test('an upgrade that is refused or reset moves to another upstream', async (t) => {
    const other = await startSimulated({ name: 'other', firstTokenMs: 1, tokensPerSecond: 2_000 });
    t.after(() => other.close());
    const upstream = { provider: 'openai-responses' as const, models: ['demo'] };
    const [both, asking] = await engineBefore('', {
      balance: { loadBalanceStrategy: 'RoundRobin' },
      stream: {},
      upstreams: [
        { ...upstream, name: 'first', url: `${simulated.socketOrigin}/v1` },
        { ...upstream, name: 'other', url: `${other.socketOrigin}/v1` },
      ],
    });
    t.after(async () => {
      await asking.close();
      await both.close();
    });
    for (const fault of ['upgrade-status=503', 'upgrade-reset', 'reset-before-headers']) {
      simulated.faults.set(fault);
      for (let turn = 0; turn < 2; turn++)
        assert.equal(textOf(await said(asking, '@echo the wheel')), 'the wheel', fault);
    }
    simulated.faults.set(undefined);
  });
});

/** A server that answers a `response.create` with what `serve` says. */
async function scripted(
  serve: (ask: Record<string, unknown>, say: (event: object) => void, close: () => void) => void,
) {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  const seen = {
    connections: 0,
    urls: [] as (string | undefined)[],
    keys: [] as (string | undefined)[],
  };
  sockets.on('connection', (socket, { url, headers }) => {
    seen.connections++;
    seen.urls.push(url);
    seen.keys.push(headers.authorization);
    socket.on('message', (data) => {
      const asked = JSON.parse((data as Buffer).toString()) as Record<string, unknown>;
      serve(
        asked,
        (event) => socket.send(JSON.stringify(event)),
        () => socket.terminate(),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  };
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    sockets,
    close,
  };
}

const delta = (text: string) => ({
  type: 'response.output_text.delta',
  item_id: 'i',
  output_index: 0,
  content_index: 0,
  delta: text,
});
const completed = {
  type: 'response.completed',
  response: { id: 'r', status: 'completed', output: [], usage: null },
};

test('what is asked, where and with which key; refusals by event and by handshake; cuts; a kept socket that died is replaced unseen', async (t) => {
  const asked: Record<string, unknown>[] = [];
  const script = await scripted((create, say, close) => {
    asked.push(create);
    const text = JSON.stringify(create['input']);
    if (text.includes('limited')) {
      say({
        type: 'error',
        status: 429,
        error: { type: 'rate_limit_error', code: 'slow_down', message: 'later' },
      });
      return;
    }
    say(delta('so '));
    if (text.includes('cut')) return close();
    say(delta('far'));
    say(completed);
  });
  t.after(script.close);
  const [engine, client] = await engineBefore(script.url);
  t.after(async () => {
    await client.close();
    await engine.close();
  });
  assert.equal(textOf(await said(client, 'go')), 'so far');
  const { type, model, stream, store } = asked[0];
  assert.deepEqual([type, model, stream, store], ['response.create', 'demo', undefined, false]);
  assert.deepEqual([script.seen.urls, script.seen.keys], [['/v1/responses'], ['Bearer key-of-it']]);

  for (const socket of script.sockets.clients) socket.terminate();
  assert.equal(textOf(await said(client, 'again')), 'so far');

  const cut = await said(client, 'cut');
  assert.equal(textOf(cut), 'so ');
  assert.equal(cut.at(-1)?.response?.error?.code, 'upstream_reset');

  const limited = (await said(client, 'limited')).at(-1);
  assert.equal(limited?.response?.error?.code ?? limited?.error?.code, 'rate_limit_exceeded');
});

test('a handshake that is refused means what its status means', async (t) => {
  const server = http.createServer((_, response) => void response.writeHead(401).end());
  server.on('upgrade', (_, socket) =>
    socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const [engine, client] = await engineBefore(
    `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
  );
  t.after(async () => {
    await client.close();
    await engine.close();
  });
  const end = (await said(client, 'go')).at(-1);
  assert.equal(end?.response?.error?.code ?? end?.error?.code, 'upstream_status');
});
