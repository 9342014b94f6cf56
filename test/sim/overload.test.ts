/** Past a bound new turns and connections are refused with a time to come back; what runs goes on, and a cancel is no turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestHead } from '../../src/main/backend/backend.ts';
import { EngineSim } from '../support/engine-sim.ts';
import type { FakeExchange } from '../support/fake-transport.ts';
import { type Event, isTerminal, textOf } from '../support/responses.ts';
import { seeded } from '../support/seed.ts';

const MiB = 1024 * 1024;
const head: RequestHead = {
  method: 'GET',
  path: '/v1/responses',
  query: '',
  header: (name) => (name === 'host' ? 'localhost' : undefined),
  hosts: 1,
  address: '192.0.2.1',
};
const delta = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
const finish = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`;

test('memory: a running stream finishes, a new turn and a new connection are refused, and later both are welcome', async () => {
  const sim = new EngineSim(
    {
      upstreams: [{ name: 'one', url: 'http://one.test/v1' }],
      memory: { memoryBytesMax: 16 * MiB, ringBytes: 64 * 1024 },
    },
    seeded('overload').next,
  );
  await sim.start();
  const opened: FakeExchange[] = [];
  sim.onOpen = (exchange) => void opened.push(exchange);
  const [busy, other] = [sim.connect(), sim.connect()];
  const events = (of: typeof busy) => of.sent.map(({ text }) => JSON.parse(text) as Event);
  const create = (lane?: string) => ({
    type: 'response.create',
    ...(lane && { stream_id: lane }),
    response: { model: 'demo', input: 'go' },
  });
  sim.send(busy, create());
  await sim.world.settle();
  opened[0].sent().head().bytes(delta('half '));
  await sim.world.settle();
  const held = 15 * MiB;
  assert.ok(sim.ledger.take('outbox', held));
  await sim.world.pass(1_100);
  assert.equal(sim.overload.bound, 'memory.refuseAboveShare');
  assert.equal(sim.count('millrace_refusing'), 1);

  sim.send(other, create());
  await sim.world.settle();
  const refused = events(other).find(isTerminal) as Event & {
    status: number;
    error: { headers: Record<string, string> };
  };
  assert.deepEqual([refused.status, refused.error.code], [429, 'server_is_overloaded']);
  assert.equal(refused.error.headers['retry-after'], '1');
  assert.equal(sim.count('millrace_overload_refusals_total'), 1);
  const verdict = await sim.server.upgrade(head);
  assert.ok(!verdict.accept);
  assert.deepEqual([verdict.reply.status, verdict.reply.headers['Retry-After']], [503, '1']);

  opened[0].bytes(delta('whole')).bytes(finish).end();
  await sim.world.settle();
  assert.equal(textOf(events(busy)), 'half whole');
  assert.equal(events(busy).find(isTerminal)?.type, 'response.completed');

  sim.ledger.give('outbox', held);
  await sim.world.pass(3_000);
  assert.equal(sim.overload.bound, undefined);
  assert.ok((await sim.server.upgrade(head)).accept);
  sim.send(other, create());
  await sim.world.settle();
  assert.equal(opened.length, 2);
});

test('a cancel is answered under overload', async () => {
  const sim = new EngineSim(
    {
      upstreams: [{ name: 'one', url: 'http://one.test/v1' }],
      memory: { memoryBytesMax: 16 * MiB, ringBytes: 64 * 1024 },
    },
    seeded('overload-cancel').next,
  );
  await sim.start();
  const client = sim.connect();
  sim.send(client, { type: 'response.create', stream_id: 'a', model: 'demo', input: 'go' });
  await sim.world.settle();
  assert.equal(sim.sockets, 1);
  assert.ok(sim.ledger.take('outbox', 15 * MiB));
  await sim.world.pass(1_100);
  sim.send(client, { type: 'response.cancel', stream_id: 'a' });
  await sim.world.settle();
  assert.equal(sim.sockets, 0);
  assert.equal(sim.requests.count, 0);
});
