/** Goal: the engine on a server of the application takes what is ours, leaves the rest, and leaves cleanly. Method: real servers on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type TestContext, test } from 'node:test';
import { Server as SocketIo } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { WebSocketServer } from 'ws';
import { createEngine } from '../../src/engine/engine.ts';
import { silentLog } from '../../src/observe/log.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { Certificates } from '../support/certificates.ts';
import { open, RefusedError } from '../support/client.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

function engineOf(t: TestContext, more: UserOptions = {}) {
  const quiet = { admin: { enabled: false }, threads: { workers: 1 } };
  const engine = createEngine({ ...quiet, ...more }, { log: silentLog });
  t.after(() => engine.close());
  return engine;
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

const application = () => createServer((_, response) => response.end('the application'));

test('our paths are served on the server of the application, and everything else stays its own', async (t) => {
  const engine = engineOf(t).socket('/mine', {
    message: (socket, message) => socket.send(message),
  });
  const server = application();
  const port = await listening(t, server);
  await engine.attach(server);
  for (const path of ['/mine', '/ws']) {
    const client = await open(`ws://127.0.0.1:${port}${path}`);
    client.send('hello');
    assert.equal((await client.next()).text, 'hello');
  }
  for (const path of ['/', '/mine', '/v1/models']) {
    const plain = await fetch(`http://127.0.0.1:${port}${path}`);
    assert.equal(await plain.text(), 'the application');
  }
  const refused = await open(`ws://127.0.0.1:${port}/elsewhere`).catch((error: unknown) => error);
  assert.ok(refused instanceof RefusedError && refused.status === 404);
});

test('upgrades of other paths go to other listeners, and ours do not', async (t) => {
  const engine = engineOf(t);
  const server = application();
  const port = await listening(t, server);
  const theirs = new WebSocketServer({ noServer: true });
  const paths: string[] = [];
  server.on('upgrade', (request, socket, head) => {
    if (request.url !== '/theirs') return;
    paths.push(request.url);
    theirs.handleUpgrade(request, socket, head, (client) => client.send('theirs'));
  });
  await engine.attach(server);
  const other = await open(`ws://127.0.0.1:${port}/theirs`);
  assert.equal((await other.next()).text, 'theirs');
  const client = await open(`ws://127.0.0.1:${port}/ws`);
  client.send('ours');
  assert.equal((await client.next()).text, 'ours');
  await engine.close();
  assert.equal((await client.closed).code, 1012);
  other.send('still open');
  assert.equal(other.socket.readyState, 1);
  assert.equal(server.listenerCount('upgrade'), 1);
  const again = await open(`ws://127.0.0.1:${port}/theirs`);
  assert.equal((await again.next()).text, 'theirs');
  assert.deepEqual(paths, ['/theirs', '/theirs']);
  other.socket.terminate();
  again.socket.terminate();
});

test('close leaves the server of the application running, and its requests unharmed', async (t) => {
  const engine = engineOf(t);
  const server = application();
  const port = await listening(t, server);
  await engine.attach(server);
  const client = await open(`ws://127.0.0.1:${port}/ws`);
  await engine.close({ drain: true });
  assert.equal((await client.closed).code, 1012);
  assert.equal(server.listening, true);
  assert.equal(server.listenerCount('upgrade'), 0);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'the application');
});

test('plain requests of ours are answered where the application hands them over', async (t) => {
  const upstreams = [{ name: 'a', url: 'http://127.0.0.1:9/v1', models: ['m'] }];
  const engine = engineOf(t, { upstreams });
  const server = createServer();
  const port = await listening(t, server);
  const attachment = await engine.attach(server);
  server.on('request', (request, response) => {
    if (!attachment.handle(request, response)) response.end('the application');
  });
  const models = (await (await fetch(`http://127.0.0.1:${port}/v1/models`)).json()) as {
    data: { id: string }[];
  };
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['m'],
  );
  assert.equal((await fetch(`http://127.0.0.1:${port}/ws`)).status, 426);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/x`)).text(), 'the application');
});

test('an Upgrade to something else stays an ordinary request of the application', async (t) => {
  const engine = engineOf(t);
  const server = application();
  const port = await listening(t, server);
  await engine.attach(server);
  const client = await RawClient.connect(port);
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  await until(() => client.ended, 'the answer');
  assert.match(client.text, /^HTTP\/1\.1 200 OK\r\n[^]*the application/);
});

test('a foreign Host gets nowhere on the server of the application either', async (t) => {
  const engine = engineOf(t);
  const server = application();
  const port = await listening(t, server);
  await engine.attach(server);
  const headers = { host: 'evil.example' };
  const refused = await open(`ws://127.0.0.1:${port}/ws`, { headers }).catch((e: unknown) => e);
  assert.ok(refused instanceof RefusedError && refused.status === 403);
});

test('a server with TLS takes the engine like any other', async (t) => {
  const certificates = new Certificates();
  t.after(() => certificates.remove());
  const { certFile, keyFile } = certificates.make('attached');
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
  const engine = engineOf(t);
  const server = createSecureServer({ cert, key }, (_, response) =>
    response.end('the application'),
  );
  const port = await listening(t, server);
  await engine.attach(server);
  const client = await open(`wss://127.0.0.1:${port}/ws`, { ws: { ca: cert } });
  client.send('over TLS');
  assert.equal((await client.next()).text, 'over TLS');
  await engine.close();
  assert.equal((await client.closed).code, 1012);
});

for (const first of ['socket.io', 'the engine'] as const) {
  test(`beside socket.io on one server, ${first} first: each serves its own path, and each outlives the other`, async (t) => {
    const engine = engineOf(t);
    const server = application();
    const port = await listening(t, server);
    if (first === 'the engine') await engine.attach(server);
    const theirs = new SocketIo(server, { transports: ['websocket'] });
    t.after(() => theirs.close());
    theirs.on('connection', (socket) =>
      socket.on('say', (word, reply) => reply(`theirs: ${word}`)),
    );
    if (first === 'socket.io') await engine.attach(server);

    const guest = connect(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
    t.after(() => guest.close());
    assert.equal(await guest.timeout(10_000).emitWithAck('say', 'hello'), 'theirs: hello');
    const client = await open(`ws://127.0.0.1:${port}/ws`);
    client.send('ours');
    assert.equal((await client.next()).text, 'ours');
    await engine.close();
    assert.equal((await client.closed).code, 1012);
    assert.equal(await guest.timeout(10_000).emitWithAck('say', 'still'), 'theirs: still');
  });
}
