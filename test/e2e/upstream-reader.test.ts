/** Who reads an upstream's answers is its option: seen by an answer that the two readers judge differently. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { open } from '../support/client.ts';
import { chunkOf, eventsOf, stop } from '../support/decode.ts';
import { answer, ask, textOf } from '../support/responses.ts';

/** A coding that nobody knows: undici takes it for none, the own reader for a reason to refuse. */
const HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: strange\r\n\r\n';

test('auto refuses what two readers could understand differently, undici is asked for by the upstream it is wanted for', async (t) => {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => {})
      .once('data', () =>
        socket.end(HEAD + eventsOf(chunkOf({ content: 'said' }), stop, '[DONE]')),
      );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/v1`;
  const engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    upstreams: [
      { name: 'strict', url, models: ['one'] },
      { name: 'lax', url, models: ['two'], reader: 'undici' },
    ],
    stream: { maxRetries: 0 },
  });
  const client = await open(`${(await engine.listen()).url}/v1/responses`);
  t.after(async () => {
    await client.close();
    await engine.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  ask(client, 'x', { model: 'one' });
  const refused = await answer(client);
  assert.equal(refused.at(-1)?.response?.error?.code, 'upstream_reset');
  assert.equal(textOf(refused), '');
  ask(client, 'x', { model: 'two' });
  const taken = await answer(client);
  assert.equal(taken.at(-1)?.type, 'response.completed');
  assert.equal(textOf(taken), 'said');
});
