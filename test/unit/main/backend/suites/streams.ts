import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { it, type TestContext } from 'node:test';
import type { BackendHandlers, Connection } from '../../../../../src/main/backend/backend.ts';
import { headed } from '../../../../../src/protocol/answer-head.ts';
import { type Implementation, type Served, serve } from '../../../../support/backend/serve.ts';
import { RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const HEAD = { status: 200, headers: { 'content-type': 'text/event-stream' } };

/** Every path but /plain is answered in pieces; `told` has each body as it came whole. */
async function serveStreams(
  t: TestContext,
  implementation: Implementation,
  handlers: Partial<BackendHandlers> = {},
): Promise<Served & { readonly told: { connection: Connection; body: string }[] }> {
  const told: { connection: Connection; body: string }[] = [];
  const served = await serve(t, implementation, {
    stream: (head) =>
      head.path === '/plain'
        ? undefined
        : { accept: true, user: head.path, bodyBytesMax: 10_000, headers: { 'x-added': 'yes' } },
    message: (connection, body) => told.push({ connection, body: Buffer.from(body).toString() }),
    ...handlers,
  });
  return { ...served, told };
}

function post(path: string, body: string, more = ''): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function started(served: { told: { connection: Connection }[] }): Promise<Connection> {
  await until(() => served.told.length > 0, 'the request');
  return (served.told.shift() as { connection: Connection }).connection;
}

export function streams(implementation: Implementation): void {
  answers(implementation);
  ends(implementation);
  bodies(implementation);
  pressure(implementation);
}

function answers(implementation: Implementation): void {
  it('streams an answer in pieces, each when it is sent, and ends it', async (t) => {
    const served = await serveStreams(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(post('/a', 'grüße'));
    await until(() => served.told.length === 1, 'the request');
    const [{ connection, body }] = served.told;
    assert.deepEqual([connection.user, body, client.text], ['/a', 'grüße', '']);
    assert.equal(connection.send(headed(HEAD, 'one'), false), 'sent');
    await until(() => client.text.includes('one'), 'the first piece');
    assert.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(client.text, /content-type: text\/event-stream\r\n/i);
    assert.match(client.text, /x-added: yes\r\n/i);
    assert.match(client.text, /transfer-encoding: chunked\r\n/i);
    connection.cork(() => {
      connection.send(Buffer.from('two'), false);
      connection.send(Buffer.from('three'), false);
    });
    await until(() => client.text.includes('twothree'), 'corked pieces, joined');
    assert.equal(client.text.includes('\r\n0\r\n\r\n'), false);
    connection.close(1000, '');
    await until(() => client.text.endsWith('\r\n0\r\n\r\n'), 'the end');
    await until(() => served.closes.length === 1, 'the close to be told');
    assert.equal(served.closes[0].code, 1000);
    assert.deepEqual([connection.open, connection.buffered()], [false, 0]);
    assert.equal(connection.send(Buffer.from('late'), false), 'closed');
    connection.terminate();
    assert.equal(served.closes.length, 1);
    client.reset();
  });

  it('answers more requests on the same connection, streamed and plain', async (t) => {
    const served = await serveStreams(t, implementation, {
      message(connection) {
        connection.send(headed(HEAD, `streamed ${String(connection.user)}`), false);
        connection.close(1000, '');
      },
    });
    const agent = new served.client.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ports = new Set<number | undefined>();
    for (const path of ['/a', '/plain', '/b', '/plain', '/c']) {
      const text = await new Promise<string>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: served.port, path, method: 'POST', agent };
        const outgoing = served.client.request(options, (response) => {
          ports.add(response.socket.localPort);
          let got = '';
          response.on('data', (chunk: Buffer) => (got += chunk.toString()));
          response.on('end', () => resolve(got));
        });
        outgoing.on('error', reject).end('{}');
      });
      assert.equal(text, path === '/plain' ? 'plain' : `streamed ${path}`);
    }
    assert.equal(ports.size, 1);
  });

  it('never asks for a stream at HEAD', async (t) => {
    const served = await serveStreams(t, implementation);
    const answer = await fetch(`${served.http}/a`, { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(served.connections.length, 0);
  });

  it('keeps answers of one connection apart when a second request comes early', async (t) => {
    const served = await serveStreams(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(post('/first', '{}') + post('/second', '{}'));
    const first = await started(served);
    first.send(headed(HEAD, 'first answer'), false);
    if (implementation.name === 'uws') {
      // Its core takes one request at a time: whoever sends the next one early loses the connection, and never gets a mixture.
      await until(() => client.ended, 'the end');
      assert.doesNotMatch(client.text, /second/);
      return;
    }
    const second = await started(served);
    second.send(headed(HEAD, 'second answer'), false);
    second.close(1000, '');
    await until(() => client.text.includes('first answer'), 'the first answer');
    assert.doesNotMatch(client.text, /second answer/);
    first.close(1000, '');
    await until(() => client.text.includes('second answer'), 'the second answer');
    client.reset();
  });

  it('answers a client of HTTP/1.0, or ends its connection', async (t) => {
    const served = await serveStreams(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(post('/old', '{}').replace('HTTP/1.1', 'HTTP/1.0'));
    await until(() => served.told.length === 1 || client.ended, 'an answer', 20_000);
    // The cores speak HTTP/1.1 only: newer ones say 505, the old one hangs up.
    if (served.told.length === 0) return assert.match(client.text, /^(HTTP\/1\.1 505|$)/);
    const connection = await started(served);
    connection.send(headed(HEAD, 'old and '), false);
    connection.send(Buffer.from('slow'), false);
    connection.close(1000, '');
    await until(() => client.text.includes('slow'), 'the answer');
    if (implementation.name === 'ws') {
      assert.match(client.text, /\r\n\r\nold and slow$/);
      await until(() => client.ended, 'the end');
    }
    client.reset();
  });
}

function ends(implementation: Implementation): void {
  it('tells at once when the client leaves: before, in and after the body', async (t) => {
    const served = await serveStreams(t, implementation);
    const early = await RawClient.connect(served.port);
    early.write('POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await until(() => served.connections.length === 1, 'the head');
    early.reset();
    await until(() => served.closes.length === 1, 'the close');
    const silent = await RawClient.connect(served.port);
    silent.write(post('/b', '{}'));
    await started(served);
    silent.reset();
    await until(() => served.closes.length === 2, 'the close');
    const reading = await RawClient.connect(served.port);
    reading.write(post('/c', '{}'));
    const connection = await started(served);
    connection.send(headed(HEAD, 'piece'), false);
    await until(() => reading.text.includes('piece'), 'a piece');
    reading.socket.end();
    await until(() => served.closes.length === 3, 'the close');
    assert.deepEqual(
      served.closes.map(({ code }) => code),
      [1006, 1006, 1006],
    );
    assert.equal(connection.send(Buffer.from('x'), false), 'closed');
    connection.close(1000, '');
    assert.deepEqual([served.closes.length, served.faults.length], [3, 0]);
  });

  it('turns a close before the head into a status, and one after it into a cut', async (t) => {
    const served = await serveStreams(t, implementation);
    const base = `${served.http}/a`;
    for (const [code, status] of [
      [1012, 503],
      [1013, 503],
      [1011, 500],
      [1008, 403],
    ]) {
      const answer = fetch(base, { method: 'POST', body: '{}' });
      (await started(served)).close(code, 'because');
      const got = await answer;
      assert.equal(got.status, status);
      assert.equal(got.headers.get('x-added'), 'yes');
      assert.equal(((await got.json()) as { error: { message: string } }).error.message, 'because');
    }
    for (const cut of [
      (connection: Connection) => connection.close(1011, 'broken'),
      (connection: Connection) => connection.terminate(),
    ]) {
      const client = await RawClient.connect(served.port);
      client.write(post('/b', '{}'));
      const connection = await started(served);
      connection.send(headed(HEAD, 'half of it'), false);
      await until(() => client.text.includes('half'), 'a piece');
      cut(connection);
      await until(() => client.closed, 'the end');
      assert.doesNotMatch(client.text, /\r\n0\r\n\r\n$/);
    }
  });

  it('survives a handler that throws', async (t) => {
    let broken = 'stream';
    const boom = (where: string) => {
      if (broken === where) throw new Error(where);
    };
    const served = await serveStreams(t, implementation, {
      stream() {
        boom('stream');
        return { accept: true, user: undefined, bodyBytesMax: 100, headers: {} };
      },
      open: () => boom('open'),
      message: () => boom('message'),
    });
    for (broken of ['stream', 'open', 'message']) {
      const got = await fetch(`${served.http}/`, { method: 'POST', body: '{}' });
      assert.equal(got.status, 500);
      await got.text();
    }
    assert.deepEqual(
      served.faults.map(({ error }) => (error as Error).message),
      ['stream', 'open', 'message'],
    );
  });
}

function bodies(implementation: Implementation): void {
  it('refuses before it reads the body', async (t) => {
    const reply = { status: 401, headers: { Connection: 'close' }, body: 'no key' };
    for (const verdict of [{ accept: false, reply } as const]) {
      for (const late of [false, true]) {
        const served = await serveStreams(t, implementation, {
          stream: () => (late ? Promise.resolve(verdict) : verdict),
        });
        const client = await RawClient.connect(served.port);
        client.write('POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n');
        await until(() => client.text.includes('no key'), 'the refusal');
        assert.equal(client.status, 401);
        assert.equal(served.connections.length, 0);
        await until(() => client.ended, 'the end');
      }
    }
  });

  it('takes a body of the most bytes and refuses one more, told or chunked, verdict at once or later', async (t) => {
    for (const late of [false, true]) {
      const verdict = { accept: true, user: 0, bodyBytesMax: 10_000, headers: {} } as const;
      const served = await serveStreams(t, implementation, {
        stream: () => (late ? Promise.resolve(verdict) : verdict),
        message(connection, body) {
          connection.send(headed(HEAD, String(body.length)), false);
          connection.close(1000, '');
        },
      });
      const send = (bytes: number, chunked: boolean) =>
        new Promise<number>((resolve, reject) => {
          const outgoing = served.client.request(
            {
              host: '127.0.0.1',
              port: served.port,
              method: 'POST',
              headers: chunked ? {} : { 'Content-Length': bytes },
            },
            (response: IncomingMessage) => {
              response.resume();
              response.on('error', reject);
              response.on('end', () => resolve(response.statusCode ?? 0));
            },
          );
          outgoing.on('error', reject);
          const body = Buffer.alloc(bytes, 'x');
          if (chunked) outgoing.write(body.subarray(0, bytes >> 1));
          outgoing.end(chunked ? body.subarray(bytes >> 1) : body);
        });
      for (const chunked of [false, true]) {
        assert.equal(await send(10_000, chunked), 200);
        assert.equal(await send(10_001, chunked), 413);
      }
    }
  });

  it('sends 100 Continue to whoever waits for it', async (t) => {
    const served = await serveStreams(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(
      'POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
    );
    await until(() => served.connections.length === 1, 'the head');
    if (implementation.name === 'ws' || implementation.modern)
      await until(() => client.status === 100, 'the word to go on');
    // The old core never says it: clients send the body after a second all the same.
    client.write('{}');
    const connection = await started(served);
    connection.send(headed(HEAD, 'done'), false);
    connection.close(1000, '');
    await until(() => client.text.includes('done'), 'the answer');
    client.reset();
  });
}

function pressure(implementation: Implementation): void {
  it('keeps the order of pieces of any size, from memory that is written again, to a slow reader (20 MB)', async (t) => {
    const served = await serveStreams(t, implementation);
    const client = await RawClient.connect(served.port);
    client.write(post('/big', '{}'));
    const connection = await started(served);
    client.socket.pause();
    const shared = new Uint8Array(new SharedArrayBuffer(200 * KiB));
    const expected = createHash('sha256');
    let total = 0;
    let wasBuffered = false;
    connection.send(headed(HEAD, 'begin'), false);
    expected.update('begin');
    for (let turn = 0; total < 20 * MiB; turn++) {
      const length = [1, 100, 14 * KiB, 16 * KiB, 64 * KiB, 200 * KiB][turn % 6];
      const piece = shared.subarray(0, length).fill(33 + (turn % 90));
      expected.update(new Uint8Array(piece));
      const write = () => {
        if (connection.send(piece, false) === 'buffered') wasBuffered = true;
      };
      if (turn % 4 === 0) connection.cork(write);
      else write();
      shared.fill(0);
      total += length;
    }
    assert.ok(wasBuffered, 'a client that reads nothing is noticed');
    assert.ok(connection.buffered() > MiB, 'and what waits is told');
    client.socket.resume();
    await until(() => connection.buffered() === 0, 'all to be read', 20_000);
    assert.ok(served.counts.drain > 0);
    connection.close(1000, '');
    await until(() => client.bytes.subarray(-5).toString() === '0\r\n\r\n', 'the end', 20_000);
    const got = createHash('sha256').update(dechunk(client.bytes)).digest('hex');
    assert.equal(got, expected.digest('hex'));
    client.reset();
  });
}

/** The body of a chunked answer. */
function dechunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = bytes.indexOf('\r\n\r\n') + 4;
  for (;;) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
