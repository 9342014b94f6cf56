/** A page of another site asks for a ticket and connects with it, over both backends. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open, RefusedError } from '../support/client.ts';

const ORIGIN = 'https://app.example';
const KEY = 'sk-canary-key';

for (const backend of backendsHere) {
  describe(`tickets over ${backend}`, () => {
    const lines: string[] = [];
    let engine: Engine;
    let url: string;
    let http: string;
    before(async () => {
      const write = (fields: object, text: string) =>
        void lines.push(JSON.stringify(fields) + text);
      const log = { debug: write, info: write, warn: write, error: write };
      engine = createEngine(
        {
          server: { port: 0, backend, allowedOrigins: [ORIGIN] },
          admin: { enabled: false },
          keys: [{ name: 'page', key: KEY, models: ['a'] }],
          upstreams: [{ name: 'u', url: 'http://127.0.0.1:9/v1', models: ['a', 'b'] }],
        },
        { log },
      );
      ({ url } = await engine.listen());
      http = url.replace('ws', 'http');
    });
    after(() => engine.close());

    const post = (headers: Record<string, string> = {}) =>
      fetch(`${http}/v1/tickets`, { method: 'POST', headers });
    const authorization = `Bearer ${KEY}`;

    async function ticket(): Promise<string> {
      const reply = await post({ authorization, origin: ORIGIN });
      assert.equal(reply.status, 200);
      const body = (await reply.json()) as { ticket: string };
      return body.ticket;
    }

    async function status(address: string, headers: Record<string, string> = {}): Promise<number> {
      const client = await open(address, { headers }).catch((error: unknown) => error);
      if (client instanceof RefusedError) return client.status;
      await (client as Awaited<ReturnType<typeof open>>).close(1000);
      return 101;
    }

    test('a page asks first, is told that it may, and gets a ticket that opens one session', async () => {
      const asked = await fetch(`${http}/v1/tickets`, {
        method: 'OPTIONS',
        headers: {
          origin: ORIGIN,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        },
      });
      assert.equal(asked.status, 200);
      assert.equal(asked.headers.get('access-control-allow-origin'), ORIGIN);
      assert.match(asked.headers.get('access-control-allow-headers') ?? '', /authorization/i);
      assert.equal(asked.headers.get('access-control-allow-methods'), 'POST');
      const reply = await post({ authorization, origin: ORIGIN });
      assert.equal(reply.headers.get('access-control-allow-origin'), ORIGIN);
      assert.equal(reply.headers.get('vary'), 'Origin');
      assert.equal(reply.headers.get('cache-control'), 'no-store');
      const body = (await reply.json()) as { ticket: string; expires_at: number };
      assert.match(body.ticket, /^mt_[\w-]{22}$/);
      assert.ok(Math.abs(body.expires_at - Date.now() / 1_000 - 30) < 3);
      const address = `${url}/chat?ticket=${body.ticket}`;
      assert.equal(await status(address, { origin: ORIGIN }), 101);
      assert.equal(await status(address, { origin: ORIGIN }), 401);
    });

    test('a foreign page gets neither an answer it could read nor a ticket', async () => {
      for (const method of ['OPTIONS', 'POST']) {
        const headers = { origin: 'https://evil.example', authorization };
        const reply = await fetch(`${http}/v1/tickets`, { method, headers });
        assert.equal(reply.status, 403);
        assert.equal(reply.headers.get('access-control-allow-origin'), null);
        await reply.text();
      }
    });

    test('without a right key there is none, and the page may read why', async () => {
      for (const headers of [{}, { authorization: 'Bearer wrong' }] as Record<string, string>[]) {
        const reply = await post({ ...headers, origin: ORIGIN });
        assert.equal(reply.status, 401);
        assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
        assert.equal(reply.headers.get('access-control-allow-origin'), ORIGIN);
        await reply.text();
      }
      const got = await fetch(`${http}/v1/tickets`, { headers: { authorization } });
      assert.equal(got.status, 405);
      await got.text();
    });

    test('of two upgrades with one ticket at the same time exactly one wins, every time', async () => {
      for (let round = 0; round < 20; round++) {
        const address = `${url}/chat?ticket=${await ticket()}`;
        const both = await Promise.all([status(address), status(address)]);
        assert.deepEqual(
          both.toSorted((a, b) => a - b),
          [101, 401],
        );
      }
    });

    test('the model list asks for the key and shows what the key may ask for', async () => {
      const bare = await fetch(`${http}/v1/models`);
      assert.equal(bare.status, 401);
      await bare.text();
      const listed = await fetch(`${http}/v1/models`, { headers: { authorization } });
      const { data } = (await listed.json()) as { data: { id: string }[] };
      assert.deepEqual(
        data.map(({ id }) => id),
        ['a'],
      );
    });

    test('no line of the log holds a ticket or a key', async () => {
      const one = await ticket();
      await status(`${url}/chat?ticket=${one}`);
      await status(`${url}/chat?ticket=${one}`);
      assert.ok(lines.length > 0);
      assert.ok(!lines.join('\n').includes(one.slice(3)));
      assert.ok(!lines.join('\n').includes(KEY));
    });
  });
}
