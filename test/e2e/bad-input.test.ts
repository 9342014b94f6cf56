/** Bad input: each gets one typed answer, nothing is lost, and the process lives. Over both backends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { MillraceError } from '../../src/errors.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open, RefusedError, type TestClient } from '../support/client.ts';
import { answer, ask, assertWhole, type Event, textOf } from '../support/responses.ts';

const KEY = 'sk-a-key-of-the-test';
const quiet = { admin: { enabled: false }, log: { level: 'silent' } } as const;

async function refusalOf(opening: Promise<TestClient>): Promise<{ status: number; code: string }> {
  const error: unknown = await opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RefusedError, `not refused: ${String(error)}`);
  const body = JSON.parse(error.body) as { error: { code: string } };
  return { status: error.status, code: body.error.code };
}

for (const backend of backendsHere) {
  describe(`bad input over ${backend}`, () => {
    let engine: Engine;
    let url: string;
    before(async () => {
      engine = createEngine({
        ...quiet,
        server: { port: 0, backend, messageBytesMax: 1 << 20 },
        demo: { enabled: true, firstTokenMs: 2, tokensPerSecond: 5_000 },
      });
      ({ url } = await engine.listen());
    });
    after(() => engine.close());

    const responses = () => open(`${url}/v1/responses`);

    /** After whatever a session did, it still answers a proper request. */
    async function assertAlive(client: TestClient): Promise<void> {
      ask(client, '@echo alive');
      assert.equal(textOf(await answer(client)), 'alive');
      await client.close();
    }

    const badMessages: readonly (readonly [string, string, string, RegExp])[] = [
      ['invalid JSON', '{"type":', 'invalid_json', /valid JSON/],
      ['a bare value', '42', 'invalid_value', /object/],
      ['a missing type', '{}', 'invalid_value', /type/],
      [
        'a wrong field type',
        '{"type":"response.create","response":{"model":"demo","input":7}}',
        'invalid_value',
        /input/,
      ],
      [
        'a temperature that is text',
        '{"type":"response.create","response":{"model":"demo","input":"x","temperature":"hot"}}',
        'invalid_value',
        /temperature/,
      ],
      [
        'an unknown model',
        '{"type":"response.create","response":{"model":"gpt-99","input":"x"}}',
        'model_not_found',
        /gpt-99.*demo/,
      ],
      [
        'an unknown continuation',
        '{"type":"response.create","response":{"model":"demo","input":"x","previous_response_id":"resp_none"}}',
        'previous_response_not_found',
        /resp_none/,
      ],
    ];
    for (const [name, message, code, text] of badMessages) {
      test(`${name}: one error event, and the session goes on`, async () => {
        const client = await responses();
        client.send(message);
        const event = await client.nextJson<Event>();
        assert.equal(event.type, 'error');
        assert.match(event.error?.code ?? '', new RegExp(`^(${code})$`));
        assert.match(event.error?.message ?? '', text);
        await assertAlive(client);
      });
    }

    test('an unknown event type: one answer that is no error event, and what runs goes on', async () => {
      const client = await responses();
      client.send('{"type":"response.crate"}');
      const event = await client.nextJson<Event>();
      assert.equal(event.type, 'millrace.event.ignored');
      assert.equal(event.error?.code, 'unknown_event');
      assert.match(event.error?.message ?? '', /response\.create/);
      await assertAlive(client);
    });

    test('a binary message on a text path closes with 1003', async () => {
      const client = await responses();
      client.send(Buffer.from('{"type":"response.create"}'));
      assert.equal((await client.closed).code, 1003);
    });

    test('text that is no UTF-8 closes with 1007, or drops the socket where the core cannot say why', async () => {
      const client = await open(`${url}/ws`);
      // The socket under the client: its own API sends no such frame.
      const { ['_socket']: socket } = client.socket as unknown as Record<string, Socket>;
      // A masked text frame (mask 0) of one byte that never occurs in UTF-8.
      socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]));
      const { code } = await client.closed;
      assert.ok(code === 1007 || (backend === 'uws' && code === 1006), `closed with ${code}`);
    });

    test('a message above the limit closes with 1009; one at the limit is echoed', async () => {
      const client = await open(`${url}/ws`);
      const atLimit = Buffer.alloc(1 << 20, 7);
      client.send(atLimit);
      assert.ok((await client.next()).bytes.equals(atLimit));
      client.send(Buffer.alloc((1 << 20) + 1));
      assert.equal((await client.closed).code, 1009);
    });

    test('echo returns text and binary exactly', async () => {
      const client = await open(`${url}/ws`);
      for (const message of ['', 'héllo 水車', Buffer.from([0, 1, 2, 255]), 'x'.repeat(100_000)]) {
        client.send(message);
        const back = await client.next();
        assert.equal(back.binary, typeof message !== 'string');
        assert.ok(back.bytes.equals(Buffer.from(message)));
      }
      await client.close();
    });

    test('a foreign Host, a foreign Origin and a null Origin are refused', async () => {
      const path = `${url}/v1/responses`;
      assert.deepEqual(await refusalOf(open(path, { headers: { host: 'evil.example' } })), {
        status: 403,
        code: 'host_forbidden',
      });
      for (const origin of ['https://evil.example', 'null']) {
        assert.deepEqual(await refusalOf(open(path, { headers: { origin } })), {
          status: 403,
          code: 'origin_forbidden',
        });
      }
    });

    test('an unknown path is 404, a plain GET of a socket’s path 426, in JSON', async () => {
      const http = url.replace('ws:', 'http:');
      const unknown = await fetch(`${http}/nowhere`);
      assert.equal(unknown.status, 404);
      const plain = await fetch(`${http}/v1/responses`);
      assert.equal(plain.status, 426);
      const body = (await plain.json()) as { error: { code: string } };
      assert.equal(body.error.code, 'websocket_upgrade_required');
      const models = (await (await fetch(`${http}/v1/models`)).json()) as {
        data: { id: string }[];
      };
      assert.deepEqual(
        models.data.map((model) => model.id),
        ['demo'],
      );
    });

    test('a client that floods a session with requests is cut off with 1013, and others do not notice', async () => {
      const flood = await responses();
      const other = await responses();
      for (let n = 0; n < 400; n++) ask(flood, '@fault stall-first=0');
      assert.equal((await flood.closed).code, 1013);
      await assertAlive(other);
    });

    test('requests beyond the queue are refused one by one', async () => {
      const client = await responses();
      // One lane: one runs, 64 wait, the next two are refused.
      for (let n = 0; n < 67; n++) ask(client, '@fault stall-first=0');
      const refused = await client.collectJson<Event>((event) => event.type === 'error');
      const second = await client.nextJson<Event>();
      for (const event of [refused[refused.length - 1], second]) {
        assert.equal(event.error?.code, 'websocket_queue_full');
      }
      await client.close();
    });

    test('a client that leaves in the middle, two hundred times, leaves nothing behind', async () => {
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          Array.from({ length: 20 }, async () => {
            const client = await responses();
            ask(client, '@tokens 500');
            await client.next();
            client.socket.terminate();
          }),
        );
      }
      await assertAlive(await responses());
    });
  });

  test(`keys over ${backend}: none, a wrong one, the right one`, async () => {
    const engine = createEngine({
      ...quiet,
      server: { port: 0, backend },
      keys: [KEY],
      upstreams: [{ name: 'nowhere', url: 'http://127.0.0.1:9/v1', models: ['m'] }],
    });
    const { url } = await engine.listen();
    const path = `${url}/v1/responses`;
    assert.deepEqual(await refusalOf(open(path)), { status: 401, code: 'missing_api_key' });
    const wrong = { headers: { authorization: 'Bearer sk-wrong' } };
    assert.deepEqual(await refusalOf(open(path, wrong)), { status: 401, code: 'invalid_api_key' });
    const client = await open(path, { headers: { authorization: `Bearer ${KEY}` } });
    // The upstream cannot be reached: said once, typed, without the key.
    ask(client, 'hello', { model: 'm' });
    const end = assertWhole(await answer(client, 20_000));
    assert.equal(end.type, 'response.failed');
    assert.match(end.response?.error?.code ?? '', /^upstream_(refused|none)$/);
    assert.doesNotMatch(JSON.stringify(end), /sk-a-key/);
    await client.close();
    await engine.close();
  });

  test(`a taken port over ${backend} is one typed error, and nothing stays behind`, async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const engine = createEngine({ ...quiet, server: { port, backend } });
    await assert.rejects(engine.listen(), (error) => {
      assert.ok(error instanceof MillraceError);
      assert.equal(error.code, 'MILLRACE_PORT_TAKEN');
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
      return true;
    });
    holder.close();
    await once(holder, 'close');
    const next = createEngine({ ...quiet, server: { port, backend } });
    assert.equal((await next.listen()).port, port);
    await next.close();
  });
}

const badOptions: readonly (readonly [string, unknown, RegExp])[] = [
  ['an unknown key', { server: { prot: 1 } }, /server\.prot.*server\.port/s],
  ['a wrong type', { server: { port: 'high' } }, /server\.port.*high/s],
  ['a value out of range', { server: { port: 65_536 } }, /server\.port/],
  ['an upstream without a URL', { upstreams: [{ name: 'a' }] }, /upstreams.*url/s],
];
for (const [name, options, text] of badOptions) {
  test(`options with ${name} are refused before anything starts`, () => {
    assert.throws(
      () => createEngine(options as UserOptions),
      (error) =>
        error instanceof MillraceError &&
        error.code === 'MILLRACE_OPTION_INVALID' &&
        text.test(error.message),
    );
  });
}

test('several mistakes are told at once', () => {
  assert.throws(
    () => createEngine({ server: { port: -1, hots: 'x' }, logg: {} } as unknown as UserOptions),
    (error) => error instanceof MillraceError && error.message.split('\n').length >= 3,
  );
});

test('an engine that never started closes, twice, and does not start afterwards', async () => {
  const engine = createEngine(quiet);
  await engine.close();
  await engine.close();
  await assert.rejects(engine.listen(), { code: 'MILLRACE_CLOSED' });
});
