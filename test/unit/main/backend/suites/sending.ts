import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Connection } from '../../../../../src/main/backend/backend.ts';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open } from '../../../../support/client.ts';
import { until } from '../../../../support/until.ts';

const sizes = [
  1, 2, 125, 126, 127, 1000, 4096, 8191, 16_383, 16_384, 16_385, 65_535, 65_536, 70_000, 200_000,
];
const largest = Math.max(...sizes);
const base = Uint8Array.from({ length: largest + 251 }, (_, i) => (i * 31) % 127);

/** What message `n` of this size must hold: no byte of it is the poison. */
function content(n: number, size: number): Uint8Array {
  return base.subarray(n % 251, (n % 251) + size);
}

/** One slot that is written, sent and poisoned, again and again, as a ring's is. */
function slotSender(slot: Uint8Array): (connection: Connection, n: number, size: number) => void {
  return (connection, n, size) => {
    slot.set(content(n, size), 3);
    connection.send(slot.subarray(3, 3 + size), true);
    slot.fill(0xff);
  };
}

const slots = {
  'private memory': () => new Uint8Array(largest + 8),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(largest + 8)),
};

export function sending(implementation: Implementation): void {
  it('paused, it is not read until it is resumed; or it says that it cannot be', async (t) => {
    const got: number[] = [];
    const served = await serve(t, implementation, {
      message: (_, bytes) => got.push(new Uint8Array(bytes)[0]),
    });
    const client = await open(served.url);
    await until(() => served.connections.length === 1, 'a connection');
    const [connection] = served.connections;
    assert.equal(connection.pause === undefined, connection.resume === undefined);
    if (!connection.pause) return;
    connection.pause();
    const count = 64;
    for (let n = 0; n < count; n++) client.socket.send(new Uint8Array(256 * 1024).fill(n));
    let same = 0;
    let buffered = -1;
    await until(() => {
      same = client.socket.bufferedAmount === buffered ? same + 1 : 0;
      buffered = client.socket.bufferedAmount;
      return same > 20;
    }, 'nothing moves');
    assert.ok(got.length < count / 2, `${got.length} were read all the same`);
    connection.resume?.();
    await until(() => got.length === count, 'all of them');
    assert.deepEqual(got, [...Array(count).keys()]);
  });

  for (const [memory, slot] of Object.entries(slots)) {
    it(`owns nothing after send, from ${memory}`, async (t) => {
      const served = await serve(t, implementation);
      const client = await open(served.url);
      const send = slotSender(slot());
      for (let n = 0; n < sizes.length; n++) {
        send(served.connections[0], n, sizes[n]);
        assert.deepEqual((await client.next()).bytes, Buffer.from(content(n, sizes[n])));
      }
    });

    it(`owns nothing after send under cork, from ${memory}`, async (t) => {
      const served = await serve(t, implementation);
      const client = await open(served.url);
      const send = slotSender(slot());
      const [connection] = served.connections;
      const order = [...sizes, ...sizes.toReversed(), 1, 1, 200_000, 1];
      connection.cork(() => {
        for (const [n, size] of order.entries()) send(connection, n, size);
      });
      for (const [n, size] of order.entries())
        assert.deepEqual((await client.next()).bytes, Buffer.from(content(n, size)), `#${n}`);
    });

    it(`owns nothing after send behind back-pressure, from ${memory}`, async (t) => {
      const served = await serve(t, implementation);
      const client = await open(served.url);
      const send = slotSender(slot());
      const [connection] = served.connections;
      client.socket.pause();
      let n = 0;
      for (; connection.buffered() < 4 * 1024 * 1024; n++) {
        if (n % 3 > 0) send(connection, n, sizes[n % sizes.length]);
        else connection.cork(() => send(connection, n, sizes[n % sizes.length]));
        if (n % 100 === 0) connection.ping();
        if (n % 50 === 0) await new Promise(setImmediate);
      }
      client.socket.resume();
      for (let i = 0; i < n; i++) {
        const { bytes } = await client.next();
        const expected = content(i, sizes[i % sizes.length]);
        assert.equal(Buffer.compare(bytes, expected), 0, `message ${i} of ${n}`);
      }
      await until(() => connection.buffered() === 0, 'an empty queue');
      assert.ok(served.counts.drain > 0);
      assert.deepEqual(served.faults, []);
    });
  }

  it('says sent, buffered while the peer does not read, and drains', async (t) => {
    const waits: number[] = [];
    const served = await serve(t, implementation, {
      drain: (connection) => waits.push(connection.buffered()),
    });
    const client = await open(served.url);
    const [connection] = served.connections;
    const bytes = new Uint8Array(60_000).fill(97);
    const late = implementation.tls !== undefined && implementation.name === 'ws';
    const status = late ? 'buffered' : 'sent';
    assert.equal(connection.send(bytes.subarray(0, 10), false), status);
    if (late) await until(() => connection.buffered() === 0, 'the turn’s end');
    assert.equal(connection.buffered(), 0);
    await until(() => !late || waits.length > 0, 'the word of it');
    waits.length = 0;
    client.socket.pause();
    await until(() => {
      for (let i = 0; i < 20; i++) if (connection.send(bytes, false) === 'buffered') return true;
      return false;
    }, 'back-pressure');
    const most = connection.buffered();
    assert.ok(most > 0);
    assert.equal(connection.send(bytes, false), 'buffered');
    assert.ok(connection.buffered() >= most + bytes.length);
    client.socket.resume();
    await until(() => connection.buffered() === 0, 'an empty queue');
    assert.ok(waits.length > 0);
    assert.deepEqual(
      waits,
      waits.toSorted((a, b) => b - a),
      'each drain finds less than the one before',
    );
    assert.equal(waits.at(-1), 0);
    assert.equal(connection.send(bytes.subarray(0, 10), false), status);
  });

  it('shows on the way that a slow reader reads', async (t) => {
    const waits: number[] = [];
    const served = await serve(t, implementation, {
      drain: (connection) => waits.push(connection.buffered()),
    });
    const client = await open(served.url);
    const [connection] = served.connections;
    client.socket.pause();
    const frame = new Uint8Array(1_000).fill(97);
    let sent = 0;
    for (; connection.buffered() < 8 * 1024 * 1024; sent++) connection.send(frame, true);
    const most = connection.buffered();
    client.socket.resume();
    for (let i = 0; i < sent; i++) await client.next();
    await until(() => connection.buffered() === 0, 'an empty queue');
    const midway = waits.filter((wait) => wait > most / 10 && wait < (most * 9) / 10);
    const silent = implementation.tls !== undefined && implementation.name === 'uws';
    assert.equal(midway.length > 0, !silent, `only ${waits.join()} of ${most}`);
  });

  it('tells after cork what its sends did not', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    const [connection] = served.connections;
    client.socket.pause();
    for (let i = 0; connection.buffered() === 0 && i < 100_000; i++)
      connection.cork(() => connection.send(new Uint8Array(10_000), true));
    assert.ok(connection.buffered() > 0);
    client.socket.resume();
    await until(() => connection.buffered() === 0, 'an empty queue');
    assert.ok(served.counts.drain > 0);
  });

  it('keeps the order of corked and plain frames, and of two connections', async (t) => {
    const served = await serve(t, implementation);
    const [first, second] = [await open(served.url), await open(served.url)];
    const [one, two] = served.connections;
    const say = (connection: Connection, text: string) => connection.send(Buffer.from(text), false);
    say(one, 'a');
    one.cork(() => {
      say(one, 'b');
      two.cork(() => {
        say(two, 'x');
        say(one, 'c');
      });
      say(two, 'y');
      one.cork(() => say(one, 'd'));
      say(one, 'e');
    });
    say(one, 'f');
    const texts = async (client: typeof first, last: string) =>
      (await client.collect(({ text }) => text === last)).map(({ text }) => text).join('');
    assert.equal(await texts(first, 'f'), 'abcdef');
    assert.equal(await texts(second, 'y'), 'xy');
  });

  it('passes a throw out of cork and sends what was written before it', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    const [connection] = served.connections;
    const oops = new Error('oops');
    assert.throws(
      () =>
        connection.cork(() => {
          connection.send(Buffer.from('before'), false);
          throw oops;
        }),
      oops,
    );
    connection.send(Buffer.from('after'), false);
    assert.equal((await client.next()).text, 'before');
    assert.equal((await client.next()).text, 'after');
  });

  it('sends an empty message and one of 16 MiB', async (t) => {
    const served = await serve(t, implementation);
    const client = await open(served.url);
    const big = Buffer.alloc(16 * 1024 * 1024, 'x');
    served.connections[0].send(new Uint8Array(), false);
    served.connections[0].send(big, true);
    assert.equal((await client.next()).bytes.length, 0);
    assert.equal(Buffer.compare((await client.next()).bytes, big), 0);
  });
}
