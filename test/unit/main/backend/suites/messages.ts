import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';
import { closePayload, frame, opcode, RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

const MiB = 1024 * 1024;

export function messages(implementation: Implementation): void {
  it('echoes text as text and binary as binary', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    client.send('grüße 🌍');
    client.send(Uint8Array.of(0, 255, 1));
    const [text, binary] = [await client.next(), await client.next()];
    assert.deepEqual([text.text, text.binary], ['grüße 🌍', false]);
    assert.deepEqual([[...binary.bytes], binary.binary], [[0, 255, 1], true]);
  });

  it('hands on what accept attached, and keeps what the handlers attach', async (t) => {
    const user = { name: 'ada' };
    const seen: unknown[] = [];
    const served = await serve(t, implementation, {
      upgrade: () => ({ accept: true, user }),
      open(connection) {
        seen.push(connection.user);
        connection.user = 'mine';
      },
      message: (connection) => seen.push(connection.user),
      close: (connection) => seen.push(connection.user),
    });
    const client = await open(served.url);
    client.send('x');
    await client.close();
    await until(() => seen.length === 3, 'three calls');
    assert.deepEqual(seen, [user, 'mine', 'mine']);
  });

  it('takes a message of 16 MiB whole and closes with 1009 above', async (t) => {
    const served = await serve(
      t,
      implementation,
      { message: (connection, bytes) => connection.send(bytes.subarray(-3), true) },
      { messageBytesMax: 16 * MiB },
    );
    const client = await open(served.url);
    client.send(Buffer.alloc(16 * MiB, 'abc'));
    assert.equal((await client.next()).text, 'bca');
    client.send(Buffer.alloc(16 * MiB + 1));
    assert.equal((await client.closed).code, 1009);
    await until(() => served.closes.length === 1, 'the close');
    assert.equal(served.closes[0].code, 1009);
  });

  it('counts the fragments of a message together', async (t) => {
    const served = await serve(t, implementation, {}, { messageBytesMax: 1000 });
    const client = await RawClient.open(served.port);
    client.write(frame({ opcode: opcode.binary, payload: Buffer.alloc(600), fin: false }));
    client.write(frame({ opcode: opcode.continuation, payload: Buffer.alloc(401) }));
    await until(() => client.ended, 'the end');
    assert.equal(client.closeCode, 1009);
    assert.deepEqual(served.messages, []);
  });

  it('drops a peer that declares far more than allowed, before it sends it', async (t) => {
    const served = await serve(t, implementation, {}, { messageBytesMax: 1000 });
    const client = await RawClient.open(served.port);
    client.write(frame({ opcode: opcode.binary, declared: 2n ** 40n }));
    await until(() => client.ended && served.closes.length === 1, 'the end');
    // The core closes the socket without a close frame, but tells us why.
    assert.equal(client.closeCode, implementation.name === 'ws' ? 1009 : undefined);
    assert.equal(served.closes[0].code, 1009);
  });

  it('closes a session whose text is not UTF-8, wherever the text is cut', async (t) => {
    const served = await serve(t, implementation);
    const bad = Buffer.from([0x68, 0x69, 0xc3, 0x28]);
    for (const cut of [undefined, 1, 3]) {
      const client = await RawClient.open(served.port);
      if (cut === undefined) client.write(frame({ opcode: opcode.text, payload: bad }));
      else {
        client.write(frame({ opcode: opcode.text, payload: bad.subarray(0, cut), fin: false }));
        client.write(frame({ opcode: opcode.continuation, payload: bad.subarray(cut) }));
      }
      await until(() => client.ended, 'the end');
      // The core closes the socket without a close frame, but tells us why.
      assert.equal(client.closeCode, implementation.name === 'ws' ? 1007 : undefined);
      await until(() => served.closes.length > 0, 'the close');
      assert.equal(served.closes.pop()?.code, 1007);
    }
    assert.deepEqual(served.messages, []);
  });

  it('tells which rule a peer broke', async (t) => {
    const served = await serve(t, implementation);
    for (const bad of [
      frame({ opcode: 3 }),
      frame({ opcode: opcode.ping, payload: 'x'.repeat(126) }),
    ]) {
      const client = await RawClient.open(served.port);
      client.write(bad);
      await until(() => served.closes.length === 1, 'the close');
      // The old core does not name this one.
      assert.equal(served.closes.pop()?.code, implementation.modern ? 1002 : 1006);
      client.reset();
    }
  });

  it('takes text that is cut inside a code point between fragments', async (t) => {
    const served = await serve(t, implementation);
    const client = await RawClient.open(served.port);
    const payload = Buffer.from('🌍');
    client.write(frame({ opcode: opcode.text, payload: payload.subarray(0, 2), fin: false }));
    client.write(frame({ opcode: opcode.continuation, payload: payload.subarray(2) }));
    await until(() => client.frames.length === 1, 'the echo');
    assert.deepEqual(client.frames[0].payload, payload);
    client.reset();
  });

  it('answers pings, and calls pings and pongs signs of life', async (t) => {
    const served = await serve(t, implementation);
    const client = await RawClient.open(served.port);
    client.write(frame({ opcode: opcode.ping, payload: 'there?' }));
    client.write(frame({ opcode: opcode.pong, payload: 'unasked' }));
    await until(() => served.counts.alive === 2, 'two signs of life');
    await until(() => client.frames.length === 1, 'the pong');
    assert.deepEqual(
      [client.frames[0].opcode, client.frames[0].payload.toString()],
      [opcode.pong, 'there?'],
    );
    client.write(frame({ opcode: opcode.close, payload: closePayload(1000) }));
    await until(() => served.closes.length === 1, 'the close');
  });

  it('pings: the pong of the peer is a sign of life', async (t) => {
    const served = await serve(t, implementation);
    await open(served.url);
    served.connections[0].ping();
    await until(() => served.counts.alive === 1, 'the pong');
  });

  it('lends the bytes: a copy taken in the handler stays', async (t) => {
    const copies: Buffer[] = [];
    const served = await serve(t, implementation, {
      message: (_connection, bytes) => copies.push(Buffer.from(bytes)),
    });
    const client = await open(served.url);
    for (let i = 0; i < 100; i++) client.send(`message ${i}`);
    await until(() => copies.length === 100, 'all of them');
    assert.deepEqual(
      copies.map(String),
      Array.from({ length: 100 }, (_, i) => `message ${i}`),
    );
  });
}
