/** Probes against real sockets on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, test } from 'node:test';
import { Board } from '../../../src/coordinator/board.ts';
import { Patrol } from '../../../src/coordinator/patrol.ts';
import { probe } from '../../../src/coordinator/probe.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema } from '../../../src/options/schema.ts';
import { Health } from '../../../src/policy/health.ts';
import type { Fact } from '../../../src/threads/facts.ts';
import { systemRandom, systemTicker } from '../../../src/threads/world.ts';
import { until } from '../../support/until.ts';

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});

async function listen<T extends net.Server>(
  server: T,
): Promise<{ server: T; origin: string; sockets: Set<net.Socket> }> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    server,
    origin: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    sockets,
  };
}

const answering = (status: number) =>
  listen(
    http.createServer(
      (request, response) =>
        void response.writeHead(request.url === '/health' ? status : 404).end('x'),
    ),
  );

test('a path is good when it answers 2xx, and only then', async () => {
  for (const [status, good] of [
    [200, true],
    [204, true],
    [301, false],
    [404, false],
    [500, false],
  ] as const) {
    const { origin, sockets } = await answering(status);
    const { result } = probe({ origin, path: '/health', timeoutMs: 2000 }, systemTicker);
    assert.deepEqual(await result, { good, reason: `status ${status}` });
    await until(() => sockets.size === 0, 'the probe closes its socket');
  }
});

test('without a path a TCP connection is enough, and nothing is sent over it', async () => {
  let bytes = 0;
  const { origin, sockets } = await listen(
    net.createServer((socket) => socket.on('data', (data) => (bytes += data.length))),
  );
  const { result } = probe({ origin, timeoutMs: 2000 }, systemTicker);
  assert.deepEqual(await result, { good: true, reason: 'connected' });
  await until(() => sockets.size === 0, 'the probe closes its socket');
  assert.equal(bytes, 0);
});

test('refused, silent and broken upstreams are not good, and a silent one costs no more than the timeout', async () => {
  const { server, origin } = await listen(net.createServer());
  server.close();
  await once(server, 'close');
  for (const path of ['/health', undefined]) {
    assert.deepEqual(await probe({ origin, path, timeoutMs: 2000 }, systemTicker).result, {
      good: false,
      reason: 'ECONNREFUSED',
    });
  }
  const silent = await listen(net.createServer((socket) => socket.resume()));
  const answer = await probe(
    { origin: silent.origin, path: '/health', timeoutMs: 50 },
    systemTicker,
  ).result;
  assert.deepEqual(answer, { good: false, reason: 'no answer within 50 ms' });
  await until(() => silent.sockets.size === 0, 'its socket is closed');
  const broken = await listen(net.createServer((socket) => socket.end('nonsense\r\n\r\n')));
  const { good } = await probe(
    { origin: broken.origin, path: '/health', timeoutMs: 2000 },
    systemTicker,
  ).result;
  assert.equal(good, false);
});

test('a cancelled probe closes its socket and never answers', async () => {
  const silent = await listen(net.createServer((socket) => socket.resume()));
  const running = probe({ origin: silent.origin, path: '/health', timeoutMs: 50 }, systemTicker);
  await until(() => silent.sockets.size === 1, 'a connection');
  running.cancel();
  await until(() => silent.sockets.size === 0, 'it is closed');
  const first = await Promise.race([
    running.result,
    new Promise((resolve) => systemTicker.after(100, () => resolve('silence'))),
  ]);
  assert.equal(first, 'silence');
});

test('a patrol: an upstream that dies falls out after `fall` probes and comes back after `rise`; each change is a fact', async () => {
  let status = 200;
  let probes = 0;
  const { origin } = await listen(
    http.createServer((_, response) => {
      probes += 1;
      response.writeHead(status).end();
    }),
  );
  const options = schema.parse({
    upstreams: [{ name: 'one', url: `${origin}/v1`, healthPath: '/health' }],
    balance: { healthCheckIntervalMs: 50, healthTimeoutMs: 1000, fall: 3, rise: 2 },
  });
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  const board = new Board(table);
  const seats = [{ row: 0, since: 1 }];
  board.write(options, seats);
  const facts: Fact[] = [];
  const patrol = new Patrol({
    board,
    ticker: systemTicker,
    random: systemRandom,
    publish: (fact) => void facts.push(fact),
  });
  cleanups.push(() => patrol.stop());
  patrol.assign(options, seats);
  const health = () => table.get(0, UpstreamWord.health);
  await until(() => health() === Health.good, 'the first good probe');
  status = 503;
  const seen = probes;
  await until(() => health() === Health.failed, 'it falls');
  assert.ok(probes - seen >= 3 && probes - seen <= 4, `${probes - seen} probes`);
  status = 200;
  await until(() => health() === Health.good, 'it rises');
  assert.deepEqual(
    facts.map(
      (fact) => fact.fact === 'upstream-health' && [fact.upstream, fact.healthy, fact.reason],
    ),
    [
      ['one', true, 'status 200'],
      ['one', false, 'status 503'],
      ['one', true, 'status 200'],
    ],
  );
  patrol.stop();
  const stopped = probes;
  await new Promise((resolve) => systemTicker.after(150, () => resolve(undefined)));
  assert.ok(probes <= stopped + 1);
});
