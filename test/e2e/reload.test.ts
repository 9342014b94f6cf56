/** An operator edits the file and sends SIGHUP: what runs goes on, what is new takes effect, and a mistake changes nothing and is told. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startSimulated } from '../../src/simulate/server.ts';
import { open } from '../support/client.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { answer, ask, assertWhole, type Event, isDelta, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

async function upstream(t: TestContext, name: string) {
  const server = await startSimulated({ name, tokensPerSecond: 100, firstTokenMs: 10 });
  t.after(() => server.close());
  return { name, url: server.url, models: ['demo'] };
}

const base = { server: { port: 0 }, admin: { enabled: false }, threads: { workers: 1 } };

/** Log lines of this event, as objects. */
const lines = (gateway: GatewayProcess, event: string) =>
  gateway.stdout
    .split('\n')
    .filter((line) => line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('SIGHUP on a changed file moves new answers to the new upstream while a running one ends whole', async (t) => {
  const [a, b] = [await upstream(t, 'a'), await upstream(t, 'b')];
  const gateway = await startGateway({ ...base, upstreams: [a] });
  t.after(() => gateway.end());
  const running = await open(`${gateway.url}/v1/responses`);
  ask(running, '@tokens 100\n@fault rate=60');
  const first = await running.collectJson<Event>(isDelta, 10_000);

  gateway.reload(JSON.stringify({ ...base, upstreams: [b], session: { runningRequestsMax: 3 } }));
  await until(() => lines(gateway, 'reloaded').length === 1, 'the line that tells it', 10_000);
  assert.match(JSON.stringify(lines(gateway, 'reloaded')), /session\.runningRequestsMax/);

  const other = await open(`${gateway.url}/v1/responses`);
  ask(other, '@echo over there');
  const events = await answer(other);
  assert.equal(textOf(events), 'over there');
  const told = events.at(-1)?.response?.x_millrace as { upstream?: string };
  assert.equal(told.upstream, 'b');
  assert.equal(
    assertWhole([...first, ...(await answer(running, 20_000))]).type,
    'response.completed',
  );
  await Promise.all([running.close(), other.close()]);
  assert.equal(await gateway.end(), 0);
});

test('SIGHUP on a file with a mistake changes nothing: the mistake is told with its place, and the gateway serves on', async (t) => {
  const a = await upstream(t, 'a');
  const good = { ...base, upstreams: [a] };
  const gateway = await startGateway(good);
  t.after(() => gateway.end());
  gateway.reload('{ "server": { "port": 0 }, "sesion": {} }');
  await until(() => /sesion/.test(gateway.stdout + gateway.stderr), 'the complaint', 10_000);
  gateway.reload('{ not json');
  await until(() => lines(gateway, 'reload-refused').length === 2, 'the second complaint', 10_000);
  assert.equal(lines(gateway, 'reloaded').length, 0);
  const client = await open(`${gateway.url}/v1/responses`);
  ask(client, '@echo as before');
  assert.equal(textOf(await answer(client)), 'as before');
  await client.close();

  gateway.reload(JSON.stringify({ ...good, session: { runningRequestsMax: 3 } }));
  await until(() => lines(gateway, 'reloaded').length === 1, 'the change that is right', 10_000);
  assert.equal(await gateway.end(), 0);
});
