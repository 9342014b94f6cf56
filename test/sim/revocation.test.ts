/** A key goes while its sessions are open: they leave at once or with what runs, and nobody else notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyring } from '../../src/main/keyring.ts';
import { schema, type UserOptions } from '../../src/options/schema.ts';
import { EngineSim } from '../support/engine-sim.ts';
import type { FakeConnection } from '../support/fake-connection.ts';
import type { FakeExchange } from '../support/fake-transport.ts';
import { seeded } from '../support/seed.ts';

const base = {
  upstreams: [{ name: 'one', url: 'http://one.test/v1', models: ['demo'] }],
} satisfies UserOptions;
const keys = [
  { name: 'a', key: 'k-a' },
  { name: 'b', key: 'k-b', expiresAt: '2100-01-01T00:00:00Z' },
];

async function started(more: UserOptions = {}) {
  const user = { ...base, keys, ...more };
  const sim = new EngineSim(user, seeded('revocation').next);
  await sim.start();
  const ring = createKeyring(schema.parse(user));
  const session = (key: string): FakeConnection => {
    const header = (name: string) => (name === 'authorization' ? `Bearer ${key}` : undefined);
    const head = { method: 'GET', path: '/', query: '', header, hosts: 1, address: '192.0.2.1' };
    const found = ring.identify(head, 0);
    assert.ok('principal' in found);
    return sim.connect({ principal: found.principal, byKey: true });
  };
  const change = (options: UserOptions) =>
    sim.server.reconfigure(schema.parse({ ...user, ...options }));
  return { sim, session, change };
}

const ask = { type: 'response.create', model: 'demo', input: 'hi' };

test('the sessions of a removed key are closed with 1008, and only they', async () => {
  const { sim, session, change } = await started();
  const [first, second, other] = [session('k-a'), session('k-a'), session('k-b')];
  sim.send(first, ask);
  await sim.world.settle();
  change({ keys: [keys[1]] });
  for (const gone of [first, second]) {
    assert.equal(gone.closed?.code, 1008);
    assert.match(gone.closed.reason, /no longer valid/);
  }
  assert.equal(other.open, true);
  await sim.world.settle();
  assert.equal(sim.requests.count, 0);
  assert.equal(sim.sockets, 0, 'the running answer’s upstream was let go');
});

test('with drain a running answer goes on, nothing new begins, and then the session closes', async () => {
  const drain = { session: { whenRevoked: 'drain' } } as const;
  const { sim, session, change } = await started(drain);
  const [busy, idle] = [session('k-a'), session('k-a')];
  const opened: FakeExchange[] = [];
  sim.onOpen = (exchange) => void opened.push(exchange);
  sim.send(busy, ask);
  await sim.world.settle();
  assert.equal(opened.length, 1);
  opened[0].sent().head();
  change({ keys: [keys[1]], ...drain });
  assert.equal(idle.closed?.code, 1008);
  const before = busy.sent.length;
  sim.send(busy, ask);
  const complaint = busy.sent.slice(before).map(({ text }) => text);
  assert.match(complaint.join(), /invalid_api_key/);
  await sim.world.pass(3_000);
  assert.equal(busy.open, true, 'it stays as long as its answer runs');
  assert.equal(opened.length, 1, 'nothing new began');
  const chunk = (more: object) =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, ...more }] })}\n\n`;
  opened[0].bytes(chunk({ delta: { content: 'whole' } }));
  opened[0].bytes(`${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`).end();
  await sim.world.pass(2_000);
  assert.match(busy.sent.map(({ text }) => text).join(), /"response.completed".*whole/);
  assert.equal(busy.closed?.code, 1008);
});

test('a key that expires takes its sessions with it at the next look', async () => {
  const { sim, session } = await started();
  const ends = sim.world.clock.wall() + 5_000;
  const [client, other] = [session('k-a'), session('k-b')];
  sim.server.reconfigure(
    schema.parse({
      ...base,
      keys: [{ ...keys[0], expiresAt: new Date(ends).toISOString() }, keys[1]],
    }),
  );
  await sim.world.pass(4_900);
  assert.equal(client.open, true);
  await sim.world.pass(6_000);
  assert.equal(client.closed?.code, 1008);
  assert.equal(other.open, true);
});
