import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { RequestHead, UpgradeVerdict } from '../../../../../src/main/backend/backend.ts';
import { handshakeVectors } from '../../../../support/backend/handshake-vectors.ts';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { open, RefusedError } from '../../../../support/client.ts';
import { frame, handshake, KEY, opcode, RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

export function handshakes(implementation: Implementation): void {
  it('answers every handshake vector as RFC 6455 says', async (t) => {
    const served = await serve(t, implementation);
    const judged = handshakeVectors.map(async (vector) => {
      const client = await RawClient.connect(served.port);
      client.write(vector.request(served.port));
      const deviates = implementation.name === 'uws' ? vector.uws : undefined;
      const answered = until(() => client.status > 0 || client.ended, vector.name, 2_000);
      await (deviates?.includes(0) ? answered.catch(() => undefined) : answered);
      const { status } = client;
      client.reset();
      const expected = [vector.status, ...(deviates ?? [])];
      return expected.includes(status) ? [] : [`${vector.name}: ${status}, not ${expected.join()}`];
    });
    assert.deepEqual((await Promise.all(judged)).flat(), []);
    await (await open(served.url)).close();
    assert.deepEqual(served.faults, []);
  });

  it('computes the accept value of RFC 6455 section 1.3 and offers no extension', async (t) => {
    const served = await serve(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(
      handshake(served.port, {
        'Sec-WebSocket-Key': KEY,
        'Sec-WebSocket-Extensions': 'permessage-deflate',
        'Sec-WebSocket-Protocol': 'a, b',
      }),
    );
    await until(() => client.text.includes('\r\n\r\n'), 'the answer');
    const answer = client.text.toLowerCase();
    assert.ok(client.text.includes('s3pPLMBiTxaQ9kYGzzhZRbK+xOo='));
    assert.ok(!answer.includes('sec-websocket-extensions'));
    assert.ok(!answer.includes('sec-websocket-protocol'));
    client.reset();
  });

  it('shows the request as it came', async (t) => {
    let head: RequestHead | undefined;
    const served = await serve(t, implementation, {
      upgrade(seen) {
        head = seen;
        return { accept: true, user: undefined };
      },
    });
    const client = await RawClient.connect(served.port);
    const headers = { 'X-Two': ['a', 'b'], Authorization: 'Bearer k', 'X-Latin': 'caf\u00e9' };
    client.socket.write(handshake(served.port, headers, 'GET /a/b%20c?x=1?y HTTP/1.1'), 'latin1');
    await until(() => head, 'the head');
    assert.ok(head);
    const { method, path, query, hosts, address } = head;
    assert.deepEqual(
      { method, path, query, hosts, address },
      { method: 'GET', path: '/a/b%20c', query: 'x=1?y', hosts: 1, address: '127.0.0.1' },
    );
    assert.equal(head.header('x-two'), 'a, b');
    assert.equal(head.header('authorization'), 'Bearer k');
    assert.equal(head.header('host'), `127.0.0.1:${served.port}`);
    assert.equal(head.header('absent'), undefined);
    assert.equal(head.header('__proto__'), undefined);
    client.reset();
    await until(() => served.closes.length === 1, 'the close');
    assert.equal(head.path, '/a/b%20c', 'the head outlives the request');
  });

  it('names an IPv4 peer in IPv4 form also on an IPv6 socket', async (t) => {
    const addresses: string[] = [];
    const served = await serve(
      t,
      implementation,
      {
        upgrade(head) {
          addresses.push(head.address);
          return { accept: true, user: undefined };
        },
      },
      { host: '::' },
    );
    for (const host of ['127.0.0.1', '[::1]']) await (await open(served.at(host))).close();
    assert.deepEqual(addresses, ['127.0.0.1', '::1']);
  });

  it('answers with the subprotocol it is told', async (t) => {
    const served = await serve(t, implementation, {
      upgrade: () => ({ accept: true, user: undefined, protocol: 'two' }),
    });
    const client = await open(served.url, { protocols: ['one', 'two'] });
    assert.equal(client.socket.protocol, 'two');
  });

  it('refuses with the reply it is given', async (t) => {
    const served = await serve(t, implementation, {
      upgrade: () => ({
        accept: false,
        reply: { status: 429, headers: { 'Retry-After': '7', Connection: 'close' }, body: 'ü' },
      }),
    });
    const error = await open(served.url).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof RefusedError);
    assert.deepEqual([error.status, error.body, error.headers['retry-after']], [429, 'ü', '7']);
    const client = await RawClient.connect(served.port);
    client.write(handshake(served.port));
    await until(() => client.ended, 'the end of a refused connection');
  });

  it('waits for a verdict that comes later', async (t) => {
    let decide: ((verdict: UpgradeVerdict) => void) | undefined;
    const served = await serve(t, implementation, {
      upgrade: () => new Promise((resolve) => (decide = resolve)),
      open: (connection) => connection.send(Buffer.from('hello'), false),
    });
    for (let i = 0; i < 20; i++) {
      const opening = open(served.url);
      await until(() => decide, 'the question');
      decide?.({ accept: true, user: i });
      decide = undefined;
      const client = await opening;
      assert.equal((await client.next()).text, 'hello');
      assert.equal(served.connections.at(-1)?.user, i);
      client.send('echo');
      assert.equal((await client.next()).text, 'echo');
      assert.equal((await client.close(1000)).code, 1000);
    }
    const refused = open(served.url).catch((thrown: unknown) => thrown);
    await until(() => decide, 'the question');
    decide?.({ accept: false, reply: { status: 401, headers: {}, body: 'no' } });
    const error = await refused;
    assert.ok(error instanceof RefusedError && error.status === 401);
  });

  it('forgets a client that leaves before the verdict', async (t) => {
    const waiting: ((verdict: UpgradeVerdict) => void)[] = [];
    const served = await serve(t, implementation, {
      upgrade: () => new Promise((resolve) => waiting.push(resolve)),
    });
    for (const leave of ['reset', 'end'] as const) {
      const client = await RawClient.connect(served.port);
      client.write(handshake(served.port));
      await until(() => waiting.length === 1, 'the question');
      if (leave === 'reset') client.reset();
      else client.socket.destroy();
      await until(() => client.closed, 'the client’s end');
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      waiting.pop()?.({ accept: true, user: undefined });
    }
    const client = await RawClient.connect(served.port);
    client.write(handshake(served.port));
    await until(() => waiting.length === 1, 'the question');
    client.reset();
    await until(() => client.closed, 'the client’s end');
    waiting.pop()?.({ accept: false, reply: { status: 401, headers: {}, body: 'no' } });
    await new Promise((resolve) => setImmediate(resolve));
    // One that was accepted into the void is told of as lost.
    await until(() => served.closes.length === served.connections.length, 'no session left');
    assert.deepEqual(served.faults, []);
  });

  it('survives a reset at every byte of a handshake', async (t) => {
    const served = await serve(t, implementation);
    const bytes = Buffer.from(handshake(served.port));
    for (let cut = 0; cut <= bytes.length; cut += 3) {
      const client = await RawClient.connect(served.port);
      if (cut === 0) client.reset();
      else client.socket.write(bytes.subarray(0, cut), () => client.reset());
    }
    const client = await RawClient.connect(served.port);
    for (const byte of bytes) client.write(Uint8Array.of(byte));
    await until(() => client.status === 101, 'a handshake in single bytes');
    await until(() => served.closes.length === served.connections.length - 1, 'all but one closed');
    assert.deepEqual(served.faults, []);
    client.reset();
  });

  it('is not confused by a first message that came with the handshake', async (t) => {
    const served = await serve(t, implementation);
    const client = await RawClient.connect(served.port);
    const say = (payload: string) => frame({ opcode: opcode.text, payload });
    client.write(Buffer.concat([Buffer.from(handshake(served.port)), say('early')]));
    await until(() => client.status === 101, 'the answer');
    client.write(say('later'));
    const echoes = () => client.frames.map(({ payload }) => payload.toString());
    await until(() => echoes().includes('later'), 'the echo');
    // RFC 6455 section 4.1 has the client wait. The core of uWebSockets.js drops what it did not wait with.
    assert.deepEqual(echoes(), implementation.name === 'uws' ? ['later'] : ['early', 'later']);
    client.reset();
  });
}
