/** Goal: what an operator sees and does through the admin port of a running engine. Method: the simulated upstreams, real HTTP. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { silentLog } from '../../src/observe/log.ts';
import { open } from '../support/client.ts';
import { until } from '../support/until.ts';

const TOKEN = 'token-of-the-test';
let engine: Engine;
let url: string;
let admin: string;

before(async () => {
  engine = createEngine(
    {
      server: { port: 0 },
      admin: { port: 0, token: TOKEN },
      threads: { workers: 1 },
      demo: { enabled: true, tokensPerSecond: 5_000, firstTokenMs: 1 },
    },
    { log: silentLog },
  );
  const address = await engine.listen();
  url = address.url;
  admin = `http://127.0.0.1:${address.admin?.port}`;
});
after(() => engine.close());

interface Done {
  readonly done: boolean;
  readonly upstream?: string;
}

/** The upstreams that answered so many requests. */
async function answered(count: number): Promise<Set<string | undefined>> {
  const client = await open(`${url}/chat`);
  const seen = new Set<string | undefined>();
  for (let i = 0; i < count; i++) {
    client.send({ message: 'Hello.' });
    const frames = await client.collectJson<Done>((frame) => frame.done, 20_000);
    seen.add(frames.at(-1)?.upstream);
  }
  await client.close();
  return seen;
}

async function act(path: string): Promise<number> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  return (await fetch(`${admin}${path}`, { method: 'POST', headers })).status;
}

async function metrics(): Promise<Map<string, number>> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

interface Status {
  readonly ready: boolean;
  readonly upstreams: readonly { readonly name: string; readonly drained: boolean }[];
}

const status = async () => (await (await fetch(`${admin}/status.json`)).json()) as Status;

test('a drained upstream gets no new streams until it is taken back', async () => {
  assert.deepEqual(await answered(4), new Set(['simulated-a', 'simulated-b']));
  assert.equal(await act('/upstreams/simulated-a/drain'), 200);
  assert.deepEqual(await answered(4), new Set(['simulated-b']));
  const drained = (await status()).upstreams.map((each) => each.drained);
  assert.deepEqual(drained, [true, false]);
  assert.equal((await fetch(`${admin}/readyz`)).status, 200);
  assert.equal(await act('/upstreams/simulated-b/drain'), 200);
  await until(
    async () => (await fetch(`${admin}/readyz`)).status === 503,
    'nobody left, not ready',
  );
  assert.equal(await act('/upstreams/simulated-a/undrain'), 200);
  assert.equal(await act('/upstreams/simulated-b/undrain'), 200);
  assert.deepEqual(await answered(4), new Set(['simulated-a', 'simulated-b']));
});

test('what happened is counted, once, and running things return to zero', async () => {
  const before = await metrics();
  assert.ok((before.get('process_resident_memory_bytes') ?? 0) > 1e6, 'the process itself');
  await answered(3);
  const settled = async () => {
    const now = await metrics();
    const idle = now.get('millrace_streams_running') === 0;
    return idle && now.get('websocket_connections_total') === 0 ? now : undefined;
  };
  await until(settled, 'everything has ended');
  const now = (await settled()) ?? new Map<string, number>();
  const grew = (name: string) => (now.get(name) ?? Number.NaN) - (before.get(name) ?? Number.NaN);
  assert.equal(grew('websocket_messages_received_total'), 3);
  assert.equal(grew('millrace_streams_started_total{dialect="chat"}'), 3);
  assert.equal(grew('millrace_streams_ended_total{outcome="finished"}'), 3);
  assert.equal(grew('millrace_streams_ended_total{outcome="failed"}'), 0);
  assert.equal(grew('millrace_sessions_opened_total{dialect="chat"}'), 1);
  assert.equal(grew('websocket_latency_seconds_count'), 3);
  assert.equal(grew('websocket_errors_total'), 0);
  assert.ok(grew('websocket_messages_sent_total') >= 6);
  const attempts = 'millrace_upstream_attempts_total';
  const both =
    grew(`${attempts}{upstream="simulated-a"}`) + grew(`${attempts}{upstream="simulated-b"}`);
  assert.equal(both, 3);
  assert.equal(now.get('millrace_sends_dropped_total'), 0);
});
