/** What takes seconds by its nature: how long a server bears with a peer that does not read or answer. All implementations at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PONGS_WAIT_MS, PONGS_WAITING_MAX } from '../../../../src/main/backend/patience.ts';
import { implementations, serve } from '../../../support/backend/serve.ts';
import { frame, handshake, opcode, RawClient } from '../../../support/raw-client.ts';
import { until } from '../../../support/until.ts';

describe('patience with a peer', { concurrency: true }, () => {
  for (const implementation of implementations) {
    const { label, missing } = implementation;
    const options = { skip: missing ?? false };

    it(`ends when it never reads its close frame, over ${label}`, options, async (t) => {
      const served = await serve(t, implementation);
      const client = await RawClient.open(served.port);
      client.socket.pause();
      const [connection] = served.connections;
      while (connection.buffered() < 1024 * 1024) connection.send(Buffer.alloc(60_000), true);
      connection.close(1013, 'too slow');
      await until(() => served.closes.length === 1, 'the close', 8_000);
      assert.deepEqual([served.closes[0].code, connection.buffered()], [1006, 0]);
      client.reset();
    });

    it(`ends when it never answers its close frame, over ${label}`, options, async (t) => {
      const served = await serve(t, implementation);
      const client = await RawClient.connect(served.port, true);
      client.write(handshake(served.port));
      await until(() => client.status === 101, 'the handshake');
      served.connections[0].close(1001, '');
      await until(() => served.closes.length === 1, 'the close');
      assert.equal(served.closes[0].code, 1001);
      await until(() => client.ended, 'the end of its side', 10_000);
      // Our side stays open: once the server has let go of the socket, a write is answered with a reset.
      const prod = setInterval(() => client.write(frame({ opcode: opcode.ping })), 200);
      await until(() => client.closed, 'the reset', 10_000).finally(() => clearInterval(prod));
    });

    const slow = missing ?? (process.env['SLOW'] ? false : 'takes up to 36 s: SLOW=1');
    it(`ends when it sends half a request, over ${label}`, { skip: slow }, async (t) => {
      const served = await serve(t, implementation);
      const client = await RawClient.connect(served.port);
      client.write('GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      const drip = setInterval(() => client.write('x'), 500);
      // ws and the old core: about 11 s. The newer core: 32 s.
      await until(() => client.ended, 'the end', 36_000).finally(() => clearInterval(drip));
    });

    it(`ends when it pings and never reads, over ${label}`, options, async (t) => {
      const served = await serve(t, implementation);
      const client = await RawClient.open(served.port);
      client.socket.pause();
      const [connection] = served.connections;
      while (connection.buffered() < 64 * 1024) connection.send(Buffer.alloc(60_000), true);
      const before = connection.buffered();
      const pings = Buffer.concat(
        Array.from({ length: 500 }, () => frame({ opcode: opcode.ping, payload: 'x'.repeat(125) })),
      );
      let most = 0;
      for (let i = 0; i < 20 && connection.open; i++) {
        client.write(pings);
        await new Promise((resolve) => setTimeout(resolve, 20)); // pongs must not pile up
        most = Math.max(most, connection.buffered() - before);
      }
      await until(() => served.closes.length === 1, 'the close');
      // The bound, and what comes in the time in which a client that reads would have caught up.
      const bound = (PONGS_WAITING_MAX + Math.ceil((2 * PONGS_WAIT_MS) / 20) * 500) * 127;
      assert.ok(most <= bound, `${most} bytes of pongs waited`);
      client.reset();
    });
  }
});
