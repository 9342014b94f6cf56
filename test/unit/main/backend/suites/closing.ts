import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Connection } from '../../../../../src/main/backend/backend.ts';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';
import { closePayload, frame, opcode, RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

export function closing(implementation: Implementation): void {
  it('closes with a code and a reason that the client sees', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    served.connections[0].close(1012, 'restarting');
    assert.deepEqual(await client.closed, { code: 1012, reason: 'restarting' });
    await until(() => served.closes.length === 1, 'the close');
    const { code, reason } = served.closes[0];
    assert.deepEqual({ code, reason }, { code: 1012, reason: 'restarting' });
  });

  it('takes a reason of 123 bytes', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    const reason = 'é'.repeat(61) + 'x';
    served.connections[0].close(4000, reason);
    assert.deepEqual(await client.closed, { code: 4000, reason });
  });

  for (const how of ['close', 'terminate'] as const)
    it(`tells of its own ${how} once, and not inside the call`, async (t) => {
      const served = await serve(t, implementation);
      const client = await open(served.url);
      const [connection] = served.connections;
      if (how === 'close') connection.close(1000, 'bye');
      else connection.terminate();
      assert.deepEqual([served.closes.length, connection.open], [0, false]);
      connection.close(1001, 'again');
      connection.terminate();
      await client.closed;
      await until(() => served.closes.length > 0, 'the close');
      await new Promise(setImmediate);
      assert.equal(served.closes.length, 1);
    });

  it('drops the socket on terminate, without a close frame', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    served.connections[0].terminate();
    assert.equal((await client.closed).code, 1006);
    await until(() => served.closes.length === 1, 'the close');
    assert.equal(served.closes[0].code, 1006);
  });

  it('passes on the code and reason of the client', async (t) => {
    const served = await serve(t, implementation);
    const told = async (code?: number, reason?: string) => {
      const client = await open(served.url);
      await client.close(code, reason);
      await until(() => served.closes.length === 1, 'the close');
      const { code: got, reason: said } = served.closes.splice(0)[0];
      return [got, said];
    };
    assert.deepEqual(await told(4001, 'mine ü'), [4001, 'mine ü']);
    // The core takes 1012 to 3999 for invalid, though RFC 6455 section 7.4.2 gives 3000 to 3999 to libraries.
    const library = implementation.name === 'uws' ? 1006 : 3001;
    assert.equal((await told(3001, 'lib'))[0], library);
    assert.deepEqual(await told(1000), [1000, '']);
    assert.deepEqual(await told(), [1005, '']);
  });

  it('echoes the close frame and ends the connection', async (t) => {
    const served = await serve(t, implementation);
    const client = await RawClient.open(served.port);
    client.write(frame({ opcode: opcode.close, payload: closePayload(4321, 'done') }));
    await until(() => client.ended, 'the end');
    assert.equal(client.closeCode, 4321);
  });

  it('calls a lost connection 1006: end, reset, reset inside a frame', async (t) => {
    const served = await serve(t, implementation);
    const leave: ((client: RawClient) => void)[] = [
      (client) => client.socket.end(),
      (client) => client.reset(),
      (client) => {
        const whole = frame({ opcode: opcode.text, payload: 'cut off here' });
        client.socket.write(whole.subarray(0, 9), () => client.reset());
      },
    ];
    for (const away of leave) {
      const client = await RawClient.open(served.port);
      away(client);
      await until(() => served.closes.length === 1, 'the close');
      assert.equal(served.closes.splice(0)[0].code, 1006);
    }
    assert.deepEqual(served.faults, []);
  });

  it('is harmless when used after close, from everywhere', async (t) => {
    const use = (connection: Connection) => {
      assert.equal(connection.open, false);
      assert.equal(connection.send(Uint8Array.of(1), true), 'closed');
      assert.equal(connection.buffered(), 0);
      let ran = false;
      connection.cork(() => {
        ran = true;
        assert.equal(connection.send(Uint8Array.of(1), true), 'closed');
      });
      assert.ok(ran, 'cork runs its function');
      connection.ping();
      connection.close(1000, '');
      connection.terminate();
    };
    let inClose = 0;
    const served = await serve(t, implementation, {
      close(connection) {
        use(connection);
        inClose++;
      },
    });
    const clients = [await open(served.url), await open(served.url), await open(served.url)];
    const [one, two, three] = served.connections;
    one.close(1000, '');
    use(one);
    two.terminate();
    use(two);
    void clients[2].close(1000);
    await until(() => inClose === 3, 'three closes');
    for (const connection of [one, two, three]) use(connection);
    await Promise.all(clients.map(({ closed }) => closed));
    assert.deepEqual(served.faults, []);
    assert.equal(served.closes.length, 3);
  });

  it('may be closed or dropped inside every handler and inside cork', async (t) => {
    const ways: ((connection: Connection) => void)[] = [
      (connection) => connection.close(4001, ''),
      (connection) => connection.terminate(),
      (connection) => connection.cork(() => connection.close(4001, '')),
      (connection) => connection.cork(() => connection.terminate()),
    ];
    for (const end of ways) {
      const inOpen = await serve(t, implementation, { open: end });
      // A drop inside open may come before the handshake's answer is on the wire.
      await open(inOpen.url).then(
        ({ closed }) => closed,
        () => undefined,
      );
      const inMessage = await serve(t, implementation, { message: end });
      const client = await open(inMessage.url);
      for (let i = 0; i < 5; i++) client.send('x');
      await client.closed;
      const inAlive = await serve(t, implementation, { alive: end });
      const pinging = await open(inAlive.url);
      pinging.socket.ping();
      pinging.socket.ping();
      await pinging.closed;
      for (const served of [inOpen, inMessage, inAlive]) {
        await until(() => served.closes.length === 1, 'the close');
        assert.deepEqual(served.faults, []);
      }
    }
  });

  it('hears nothing more from a client it closed', async (t) => {
    let heard = 0;
    const served = await serve(t, implementation, {
      message(connection) {
        heard++;
        connection.close(1000, '');
      },
    });
    const client = await RawClient.open(served.port);
    const one = frame({ opcode: opcode.text, payload: 'x' });
    client.write(Buffer.concat([one, one, one, frame({ opcode: opcode.ping }), one]));
    await until(() => client.closeCode === 1000 && served.closes.length === 1, 'the close');
    client.write(one);
    client.reset();
    await until(() => client.closed, 'the end');
    assert.deepEqual([heard, served.counts.alive], [1, 0]);
  });

  it('delivers what was buffered before the close frame to a client that reads on', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    const [connection] = served.connections;
    client.socket.pause();
    const bytes = Buffer.alloc(60_000, 'z');
    let sent = 0;
    for (; connection.buffered() < 1024 * 1024; sent++) connection.send(bytes, false);
    connection.close(1013, 'too slow');
    assert.deepEqual([connection.open, served.closes.length], [false, 0]);
    assert.equal(connection.send(bytes, false), 'closed');
    client.socket.resume();
    assert.deepEqual(await client.closed, { code: 1013, reason: 'too slow' });
    assert.equal(client.waiting.length, sent);
    await until(() => served.closes.length === 1, 'the close');
    assert.equal(served.closes[0].code, 1013);
  });
}
