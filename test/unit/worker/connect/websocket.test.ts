/** WebSockets towards back ends on loopback: the phases before the upgrade, TLS, and a message that takes long to write. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import type { MillraceError } from '../../../../src/errors.ts';
import type { SocketHandler } from '../../../../src/protocol/socket-transport.ts';
import { WebSocketTransport } from '../../../../src/worker/connect/websocket.ts';
import { Certificates } from '../../../support/certificates.ts';
import { until } from '../../../support/until.ts';

class Heard implements SocketHandler {
  readonly calls: string[] = [];
  readonly texts: string[] = [];
  error: MillraceError | undefined;
  drains = 0;
  opened(): void {
    this.calls.push('opened');
  }
  failed(error: MillraceError): void {
    this.calls.push('failed');
    this.error = error;
  }
  message(bytes: Uint8Array): void {
    this.texts.push(Buffer.from(bytes).toString());
  }
  alive(): void {}
  drained(): void {
    this.drains++;
  }
  closed(code: number): void {
    this.calls.push(`closed ${code}`);
  }
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

function open(t: TestContext, url: string, ca?: string, handshakeTimeoutMs = 5_000) {
  const transport = new WebSocketTransport(ca === undefined ? {} : { ca });
  const heard = new Heard();
  const request = { url, protocol: undefined, headers: {}, handshakeTimeoutMs };
  const socket = transport.open('back', { ...request, messageBytesMax: 1 << 20 }, heard);
  t.after(() => transport.close());
  return { transport, socket, heard };
}

test('wss: the handshake with a certificate that somebody vouches for, and messages over it; any other is refused', async (t) => {
  const certificates = new Certificates();
  t.after(() => certificates.remove());
  const { certFile, keyFile } = certificates.make('back');
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
  const server = https.createServer({ cert, key });
  new WebSocketServer({ server }).on('connection', (socket) =>
    socket.on('message', (data) => socket.send(`echo ${(data as Buffer).toString()}`)),
  );
  const url = `wss://127.0.0.1:${await listen(t, server)}/`;
  const { socket, heard } = open(t, url, cert.toString());
  await until(() => heard.calls.length > 0, 'it opens');
  socket.send(Buffer.from('hello'), false);
  await until(() => heard.texts.length > 0, 'the echo');
  assert.deepEqual([heard.calls, heard.texts], [['opened'], ['echo hello']]);
  const stranger = open(t, url).heard;
  await until(() => stranger.calls.length > 0, 'its end');
  assert.equal(stranger.error?.code, 'MILLRACE_UPSTREAM_REFUSED');
  assert.match(stranger.error.message, /SELF_SIGNED|self-signed/);
});

test('one clock over connection and upgrade: a silent server, one that drips, and one whose TLS says nothing end in time', async (t) => {
  const silent = await listen(
    t,
    net.createServer((socket) => void socket.resume()),
  );
  const dripping = await listen(
    t,
    net.createServer((socket) => {
      const drip = setInterval(() => socket.write('H'), 20);
      socket.on('close', () => clearInterval(drip)).resume();
    }),
  );
  for (const url of [`ws://127.0.0.1:${silent}/`, `wss://127.0.0.1:${silent}/`]) {
    const { heard, transport } = open(t, url, undefined, 150);
    await until(() => heard.calls.length > 0, 'its end');
    assert.equal(heard.error?.code, 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT');
    await until(() => transport.sockets === 0, 'nothing stays open');
  }
  const { heard } = open(t, `ws://127.0.0.1:${dripping}/`, undefined, 150);
  await until(() => heard.calls.length > 0, 'its end');
  assert.deepEqual(heard.calls, ['failed']);
});

test('a redirect is not followed, whatever it points to', async (t) => {
  let trapped = 0;
  const trap = await listen(
    t,
    net.createServer(() => trapped++),
  );
  for (const status of [301, 302, 307, 308]) {
    const server = http.createServer();
    server.on('upgrade', (_, socket: net.Socket) =>
      socket.end(
        `HTTP/1.1 ${status} Moved\r\nlocation: ws://127.0.0.1:${trap}/\r\ncontent-length: 0\r\n\r\n`,
      ),
    );
    const { heard } = open(t, `ws://127.0.0.1:${await listen(t, server)}/`);
    await until(() => heard.calls.length > 0, 'its end');
    assert.equal(heard.error?.code, 'MILLRACE_UPSTREAM_STATUS');
    assert.equal(heard.error.details['upstreamStatus'], status);
  }
  assert.equal(trapped, 0);
});

test('a message that takes long to write tells again and again that it is being read, and arrives whole', async (t) => {
  const server = http.createServer();
  const got: number[] = [];
  let raw: net.Socket | undefined;
  server.on('connection', (socket) => (raw = socket));
  const sockets = new WebSocketServer({ server, maxPayload: 1 << 28 });
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => got.push((data as Buffer).length)),
  );
  const { socket, heard } = open(t, `ws://127.0.0.1:${await listen(t, server)}/`);
  await until(() => heard.calls.length > 0, 'it opens');
  raw?.pause();
  const length = 32 * 1024 * 1024 + 7;
  socket.send(Buffer.alloc(length, 'x'), true);
  socket.send(new Uint8Array(0), true);
  await until(() => socket.buffered > 0, 'it waits');
  const before = heard.drains;
  raw?.resume();
  await until(() => got.length === 2, 'both messages');
  assert.deepEqual(got, [length, 0]);
  assert.ok(heard.drains - before > 5, `${heard.drains - before}`);
});
