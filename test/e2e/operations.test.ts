/** The gateway as its operator knows it: upstreams drained by hand, readiness, a taken port; and clients that flood. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { open } from '../support/client.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { answer, ask, assertWhole, type Event, isDelta } from '../support/responses.ts';
import { until } from '../support/until.ts';

const TOKEN = 'operator-token-of-the-test';
const config = {
  server: { port: 0, shutdownTimeoutMs: 10_000 },
  admin: { port: 0, token: TOKEN },
  demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 400 },
};
const responses = (gateway: GatewayProcess) => open(`${gateway.url}/v1/responses`);

describe('a gateway in service', () => {
  let gateway: GatewayProcess;
  before(async () => {
    gateway = await startGateway(config);
  });
  after(async () => {
    assert.equal(await gateway.end(), 0);
  });

  const act = (path: string, token = TOKEN) =>
    fetch(`${gateway.admin}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });

  /** Which upstreams answer so many turns. */
  async function answering(turns: number): Promise<string[]> {
    const client = await responses(gateway);
    const names = new Set<string>();
    for (let turn = 0; turn < turns; turn++) {
      ask(client, '@echo hi');
      names.add(String(assertWhole(await answer(client)).response?.x_millrace?.upstream));
    }
    await client.close();
    return [...names].toSorted();
  }

  test('an upstream drained by hand gets no new streams, its running one finishes, and it comes back', async () => {
    assert.deepEqual(await answering(4), ['simulated-a', 'simulated-b']);
    const running = [await responses(gateway), await responses(gateway)];
    for (const client of running) ask(client, '@tokens 200');
    for (const client of running) await client.collectJson<Event>(isDelta);
    assert.equal((await act('/upstreams/simulated-a/drain')).status, 200);
    assert.deepEqual(await answering(6), ['simulated-b']);
    for (const client of running) {
      const events = await answer(client);
      assert.equal(events[events.length - 1].type, 'response.completed');
      await client.close();
    }
    assert.equal((await act('/upstreams/simulated-a/undrain')).status, 200);
    assert.deepEqual(await answering(4), ['simulated-a', 'simulated-b']);
  });

  test('actions need the token, and a name that exists', async () => {
    assert.equal((await act('/upstreams/simulated-a/drain', 'wrong-token')).status, 401);
    const unknown = await act('/upstreams/nobody/drain');
    assert.ok(unknown.status >= 400 && unknown.status < 500);
    assert.match(await unknown.text(), /no such upstream/);
  });

  test('with every upstream drained it is not ready and says so; requests are told at once', async () => {
    for (const name of ['simulated-a', 'simulated-b']) await act(`/upstreams/${name}/drain`);
    const ready = await fetch(`${gateway.admin}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /no upstream/);
    const client = await responses(gateway);
    ask(client, 'hello');
    const end = assertWhole(await answer(client));
    assert.equal(end.response?.error?.code, 'upstream_none');
    await client.close();
    for (const name of ['simulated-a', 'simulated-b']) await act(`/upstreams/${name}/undrain`);
    assert.equal((await fetch(`${gateway.admin}/readyz`)).status, 200);
  });

  test('a flood of pings and of one-byte messages is answered in full while others stream', async () => {
    const flood = await open(`${gateway.url}/ws`);
    const other = await responses(gateway);
    const [pings, messages] = [20_000, 100_000];
    let pongs = 0;
    flood.socket.on('pong', () => void pongs++);
    ask(other, '@tokens 200');
    let echoes = 0;
    flood.socket.on('message', () => void echoes++);
    for (let n = 0; n < messages; n++) {
      flood.socket.send(Buffer.from([n & 255]));
      if (n % 5 === 0 && n / 5 < pings) flood.socket.ping();
      if (n % 1_000 === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    const events = await answer(other, 20_000);
    assert.equal(assertWhole(events).type, 'response.completed');
    await until(() => echoes === messages && pongs === pings, 'all echoes and pongs', 20_000);
    await Promise.all([flood.close(), other.close()]);
  });
});

test('a port that is taken: one line that says so, exit code 1', async () => {
  const gateway = await startGateway(config);
  const port = Number(new URL(gateway.url).port);
  await assert.rejects(startGateway({ ...config, server: { port } }), (error: Error) => {
    assert.match(error.message, /ended with 1/);
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port} is taken`));
    return true;
  });
  await gateway.end();
});
