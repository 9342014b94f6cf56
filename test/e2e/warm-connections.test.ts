/** Goal: minConnections sockets wait at an upstream, over all workers, before the first stream comes, and serve it. Method: a real engine with two workers, and a server that counts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { open } from '../support/client.ts';
import { chunkOf, eventsOf } from '../support/decode.ts';
import { answer, ask, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

test('five sockets over two workers, opened before anybody asks, and no more for the streams that come', async (t) => {
  let accepted = 0;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(eventsOf(chunkOf({ content: 'well' }), chunkOf({}, 'stop'), '[DONE]'));
    });
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', () => accepted++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    threads: { workers: 2 },
    // A probe is a connection too.
    balance: { healthCheckIntervalMs: 3_600_000, loadBalanceStrategy: 'RoundRobin' },
    upstreams: [{ name: 'one', url: `http://127.0.0.1:${port}/v1` }],
  });
  t.after(() => engine.close());
  const { url } = await engine.listen();
  await until(() => accepted >= 5, 'five connections');
  const clients = await Promise.all([1, 2, 3, 4].map(() => open(`${url}/v1/responses`)));
  for (let turn = 0; turn < 5; turn++)
    for (const client of clients) {
      ask(client, 'go');
      assert.equal(textOf(await answer(client)), 'well');
    }
  assert.equal(accepted, 5);
  await Promise.all(clients.map((client) => client.close()));
});
