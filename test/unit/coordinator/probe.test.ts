/** Probes against real sockets on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { Board } from '../../../src/coordinator/board.ts';
import { Patrol } from '../../../src/coordinator/patrol.ts';
import { PongReader } from '../../../src/coordinator/ping-frames.ts';
import { probe } from '../../../src/coordinator/probe.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema } from '../../../src/options/schema.ts';
import { Health } from '../../../src/policy/health.ts';
import type { Fact } from '../../../src/threads/facts.ts';
import { systemRandom, systemTicker } from '../../../src/threads/world.ts';
import { Certificates } from '../../support/certificates.ts';
import { SimulatedWorld } from '../../support/simulated-world.ts';
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

test('TLS: the handshake has to succeed, and a certificate that nobody vouches for is not good', async (t) => {
  const certificates = new Certificates();
  t.after(() => certificates.remove());
  const { certFile, keyFile } = certificates.make('upstream');
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
  let secured = 0;
  let bytes = 0;
  const server = tls.createServer({ cert, key }, (socket) => {
    secured++;
    socket.on('error', () => {}).on('data', (data) => (bytes += data.length));
  });
  const { origin: plain } = await listen(server);
  const origin = plain.replace('http:', 'https:');
  const target = { origin, way: 'tls', timeoutMs: 2_000 } as const;
  const ca = cert.toString();
  assert.deepEqual(await probe({ ...target, ca }, systemTicker).result, {
    good: true,
    reason: 'TLS',
  });
  const connections = () =>
    new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
  await until(async () => (await connections()) === 0, 'it is closed');
  assert.equal(secured, 1);
  assert.deepEqual(await probe(target, systemTicker).result, {
    good: false,
    reason: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  assert.deepEqual(await probe({ ...target, way: 'tcp' }, systemTicker).result, {
    good: true,
    reason: 'connected',
  });
  const silent = await listen(net.createServer((socket) => socket.resume()));
  const unsecured = { ...target, origin: silent.origin.replace('http:', 'https:'), timeoutMs: 50 };
  const { reason } = await probe(unsecured, systemTicker).result;
  assert.equal(reason, 'no answer within 50 ms');
  assert.equal(bytes, 0);
});

/** A WebSocket server that does with each client what `serve` says. */
async function webSockets(
  t: TestContext,
  serve: (socket: WebSocket, request: http.IncomingMessage) => void,
  more = {},
) {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, ...more });
  sockets.on('connection', serve);
  t.after(() => sockets.close());
  return listen(server);
}

test('a ping: the handshake with its headers, whatever the server says first, the pong, and a close in order', async (t) => {
  const seen: unknown[] = [];
  const { origin, sockets } = await webSockets(
    t,
    (socket, { url, headers }) => {
      seen.push(url, headers.authorization, socket.protocol);
      for (const length of [0, 125, 126, 65_535, 65_536]) socket.send(Buffer.alloc(length, 0x8a));
      socket.ping('hello');
      socket.on('close', (code) => seen.push(code));
    },
    { handleProtocols: () => 'chat' },
  );
  const headers = { authorization: 'Bearer k', 'sec-websocket-protocol': 'chat' };
  const target = { origin, way: 'ping', path: '/talk?a=1', headers, timeoutMs: 5_000 } as const;
  assert.deepEqual(await probe(target, systemTicker).result, { good: true, reason: 'pong' });
  await until(() => seen.length === 4 && sockets.size === 0, 'it is closed');
  assert.deepEqual(seen, ['/talk?a=1', 'Bearer k', 'chat', 1_000]);
});

test('a back end that does not upgrade, closes, answers no ping or another handshake is not good', async (t) => {
  const reasonOf = async (origin: string, timeoutMs = 5_000) => {
    const { good, reason } = await probe({ origin, way: 'ping', timeoutMs }, systemTicker).result;
    assert.equal(good, false);
    return reason;
  };
  const plain = await answering(200);
  assert.equal(await reasonOf(plain.origin), 'status 404');
  const closing = await webSockets(t, (socket) => socket.close(1013));
  assert.equal(await reasonOf(closing.origin), 'closed instead of a pong');
  const deaf = await webSockets(t, () => {}, { autoPong: false });
  assert.equal(await reasonOf(deaf.origin, 100), 'no answer within 100 ms');
  const lying = await listen(
    http.createServer().on('upgrade', (_, socket: net.Socket) => {
      const head =
        'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n';
      socket.write(`${head}sec-websocket-accept: x\r\n\r\n`);
    }),
  );
  assert.equal(await reasonOf(lying.origin), 'a wrong handshake');
});

test('frames of any split are skipped up to the first pong', () => {
  const server = Buffer.concat([
    Buffer.of(0x81, 3, 0x8a, 0x80, 0x8a),
    Buffer.of(0x82, 126, 0, 200),
    Buffer.alloc(200, 0x8a),
    Buffer.of(0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0),
    Buffer.alloc(65_536, 0x8a),
    Buffer.of(0x89, 0),
  ]);
  for (const size of [1, 2, 7, 64, 1 << 20]) {
    const reader = new PongReader();
    for (let at = 0; at < server.length; at += size)
      assert.equal(reader.read(server.subarray(at, at + size)), undefined);
    assert.equal(reader.read(Buffer.of(0x8a)), undefined);
    assert.equal(reader.read(Buffer.of(0)), 'pong');
  }
  assert.equal(new PongReader().read(Buffer.of(0x88, 2, 3, 232)), 'close');
});

test('a patrol probes as the upstream’s kind and options say, and sooner while something is wrong', async () => {
  const world = new SimulatedWorld();
  const options = schema.parse({
    upstreams: [{ name: 'one', url: 'http://127.0.0.1:1/v1' }],
    balance: { healthCheckIntervalMs: 5_000, healthCheckFastMs: 1_000, rise: 1, fall: 1 },
  });
  const { server, origin } = await listen(http.createServer());
  const table = openUpstreamTable(allocateUpstreamTable(1, 1));
  const board = new Board(table);
  const seats = [{ row: 0, since: 1 }];
  const waits: number[] = [];
  const ticker = {
    ...systemTicker,
    after(ms: number, task: () => void) {
      if (ms === options.balance.healthTimeoutMs) return systemTicker.after(ms, task);
      waits.push(ms);
      return systemTicker.after(0, task);
    },
  };
  const patrol = new Patrol({ board, ticker, random: world.random, publish: () => {} });
  cleanups.push(() => patrol.stop());
  const to = (url: string) => ({ ...options, upstreams: [{ ...options.upstreams[0], url }] });
  board.write(to(origin), seats);
  patrol.assign(to(origin), seats);
  await until(() => waits.length > 2, 'two good probes');
  assert.deepEqual(waits.slice(0, 3), [250, 5_000, 5_000]);
  server.close();
  await until(() => table.get(0, UpstreamWord.health) === Health.failed, 'it falls');
  const before = waits.length;
  await until(() => waits.length > before + 1, 'more probes');
  assert.deepEqual(new Set(waits.slice(before)), new Set([1_000]));
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
