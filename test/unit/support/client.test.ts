import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { open, RefusedError } from '../../support/client.ts';
import { until } from '../../support/until.ts';

const http = createServer();
const server = new WebSocketServer({ noServer: true });
http.on('upgrade', (request, socket, head) => {
  if (request.url === '/no') {
    socket.end('HTTP/1.1 429 No\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nlate');
    return;
  }
  server.handleUpgrade(request, socket, head, (client) => {
    client.send(JSON.stringify({ header: request.headers['x-one'], protocol: client.protocol }));
    client.on('message', (data, binary) => {
      if ((data as Buffer).toString() === 'close') client.close(1012, 'drain');
      else client.send(data as Buffer, { binary });
    });
  });
});
await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
after(() => {
  server.close();
  http.close();
});

test('a test client sends headers and protocols and gets messages in order', async () => {
  const client = await open(url, { headers: { 'x-one': 'yes' }, protocols: ['mcp'] });
  assert.deepEqual(await client.nextJson(), { header: 'yes', protocol: 'mcp' });
  client.send({ a: 1 });
  client.send('text');
  client.send(new Uint8Array([1, 2]));
  const got = await client.collect((message) => message.binary);
  assert.deepEqual(
    got.map((message) => message.bytes.toString('latin1')),
    ['{"a":1}', 'text', '\u0001\u0002'],
  );
  assert.equal((await client.close()).code, 1005);
});

test('a test client tells a refusal with status, headers and body', async () => {
  await assert.rejects(open(`${url}/no`), (error) => {
    assert.ok(error instanceof RefusedError);
    assert.equal(error.status, 429);
    assert.equal(error.headers['retry-after'], '3');
    assert.equal(error.body, 'late');
    return true;
  });
});

test('waiting for a message fails when the socket closes or nothing comes', async () => {
  const client = await open(url);
  await client.next();
  await assert.rejects(client.next(20), /no message within 20 ms/);
  client.send('close');
  await assert.rejects(client.next(), /1012 drain/);
  await assert.rejects(client.next(), /1012 drain/);
  assert.deepEqual(await client.closed, { code: 1012, reason: 'drain' });
});

test('until fails with the sentence it waited for', async () => {
  await assert.rejects(
    until(() => false, 'the moon', 20),
    /the moon/,
  );
});
