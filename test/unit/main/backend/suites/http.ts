import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { HttpReply } from '../../../../../src/main/backend/backend.ts';
import { type Implementation, serve } from '../../../../support/backend/serve.ts';
import { RawClient } from '../../../../support/raw-client.ts';
import { until } from '../../../../support/until.ts';

const MiB = 1024 * 1024;

export function http(implementation: Implementation): void {
  it('hands on method, path, query and body', async (t) => {
    const served = await serve(t, implementation, {
      http: (head, body) => ({
        status: 201,
        headers: { 'Content-Type': 'text/plain', 'X-Own': 'yes' },
        body: `${head.method} ${head.path} ${head.query} ${Buffer.from(body).toString()}`,
      }),
    });
    const base = served.http;
    const got = await fetch(`${base}/a?b=c`);
    assert.deepEqual(
      [got.status, got.headers.get('content-type'), got.headers.get('x-own'), await got.text()],
      [201, 'text/plain', 'yes', 'GET /a b=c '],
    );
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      assert.equal(
        await (await fetch(`${base}/x`, { method, body: 'grüße' })).text(),
        `${method} /x  grüße`,
      );
  });

  it('answers HEAD without a body', async (t) => {
    const served = await serve(t, implementation);
    const answer = await fetch(`${served.http}/`, { method: 'HEAD' });
    assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, '5']);
    const client = await RawClient.connect(served.port);
    client.write('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => client.text.includes('\r\n\r\n'), 'the answer');
    await new Promise((resolve) => setTimeout(resolve, 50)); // a body would follow at once
    assert.match(client.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
    // Its core answers nothing more on this connection.
    if (implementation.name === 'uws') assert.match(client.text, /connection: close\r\n/i);
    client.reset();
  });

  it('takes a body of the most bytes and answers 413 above, told or chunked', async (t) => {
    const lengths: number[] = [];
    const served = await serve(t, implementation, {
      http(_head, body) {
        lengths.push(body.length);
        return { status: 200, headers: {}, body: '' };
      },
    });
    const post = (bytes: number, chunked: boolean) =>
      new Promise<number>((resolve, reject) => {
        const outgoing = served.client.request({
          host: '127.0.0.1',
          port: served.port,
          method: 'POST',
          headers: chunked ? {} : { 'Content-Length': bytes },
        });
        outgoing.on('response', (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        outgoing.on('error', reject);
        const body = Buffer.alloc(bytes, 'x');
        if (chunked) outgoing.write(body.subarray(0, bytes >> 1));
        outgoing.end(chunked ? body.subarray(bytes >> 1) : body);
      });
    for (const chunked of [false, true]) {
      assert.equal(await post(0, chunked), 200);
      assert.equal(await post(1000, chunked), 200);
      assert.equal(await post(1001, chunked), 413);
    }
    assert.deepEqual(new Set(lengths), new Set([0, 1000]));
  });

  it('sends an answer of 1 MB and one of 20 MB whole, also to a slow reader', async (t) => {
    const big = Buffer.alloc(20 * MiB, (Math.random() + 1).toString(36));
    const served = await serve(t, implementation, {
      http: (head) => ({
        status: 200,
        headers: {},
        body: head.path === '/big' ? big : big.subarray(0, MiB),
      }),
    });
    const base = served.http;
    const small = await fetch(`${base}/small`);
    assert.equal(Buffer.compare(Buffer.from(await small.arrayBuffer()), big.subarray(0, MiB)), 0);
    const client = await RawClient.connect(served.port);
    client.socket.pause();
    client.write('GET /big HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100)); // nothing is read, nothing may be lost
    client.socket.resume();
    const whole = () => client.bytes.length >= big.length && client.text.includes('\r\n\r\n');
    await until(whole, '20 MB');
    const start = client.bytes.indexOf('\r\n\r\n') + 4;
    assert.equal(Buffer.compare(client.bytes.subarray(start), big), 0);
    client.reset();
  });

  it('keeps a connection for the next request, unless the answer says close', async (t) => {
    const served = await serve(t, implementation, {
      http: (head) => ({
        status: 200,
        headers: head.path === '/last' ? { Connection: 'close' } : {},
        body: head.path,
      }),
    });
    const client = await RawClient.connect(served.port);
    const get = (path: string) => client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    get('/one');
    await until(() => client.text.endsWith('/one'), 'the first answer');
    get('/two');
    await until(() => client.text.endsWith('/two'), 'the second answer');
    assert.equal(client.ended, false);
    get('/last');
    await until(() => client.ended, 'the end');
    assert.ok(client.text.endsWith('/last'));
  });

  it('answers later, and not at all when the client has left', async (t) => {
    const waiting: ((reply: HttpReply) => void)[] = [];
    const served = await serve(t, implementation, {
      http: () => new Promise((resolve) => waiting.push(resolve)),
    });
    const reply = { status: 200, headers: {}, body: 'late' };
    const answer = fetch(`${served.http}/`);
    await until(() => waiting.length === 1, 'the request');
    waiting.pop()?.(reply);
    assert.equal(await (await answer).text(), 'late');
    const client = await RawClient.connect(served.port);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => waiting.length === 1, 'the request');
    client.reset();
    await until(() => client.closed, 'the client’s end');
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    waiting.pop()?.(reply);
    await new Promise(setImmediate);
    assert.deepEqual(served.faults, []);
  });
}
