/** Routes given as functions: the same contract as in a module, on main. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import type { RouteHandler, StreamPart } from '../../src/protocol/route.ts';
import { open } from '../support/client.ts';
import { until } from '../support/until.ts';

const faults: object[] = [];
const log = {
  debug() {},
  info() {},
  warn() {},
  error: (fields: object) => void faults.push(fields),
};

describe('a route given as a function', () => {
  let engine: Engine;
  let url = '';
  const seen: string[] = [];
  let yielded = 0;
  const handlers: Record<string, RouteHandler> = {
    async *relay({ json }, { upstream, session }) {
      const { ask } = json as { ask: string };
      const count = Number(session.state.get('count') ?? 0) + 1;
      session.state.set('count', count);
      const parts: StreamPart[] = [];
      for await (const part of upstream.stream({ messages: ask })) {
        parts.push(part);
        if (part.type === 'text') yield part.text;
      }
      yield { done: true, count, last: parts.at(-1)?.type };
    },
    async *bytes({ bytes, binary }) {
      yield binary ? bytes : 'text';
    },
    async *throwing() {
      yield 'before';
      throw new Error('secret');
    },
    async *slow({ text }, { signal, upstream }) {
      seen.push(`in ${text}`);
      signal.addEventListener('abort', () => seen.push(`aborted ${text}`));
      try {
        yield* upstream.stream({ messages: '@tokens 100000\n@fault rate=1000' }).text();
      } finally {
        seen.push(`out ${text}`);
      }
    },
    async *nonsense(_request, { upstream }) {
      try {
        yield* upstream.stream({ messages: [] }).text();
      } catch (error) {
        yield (error as Error).message;
      }
    },
    async *endless() {
      for (;;) {
        yielded++;
        yield 'x'.repeat(1_000);
      }
    },
  };
  before(async () => {
    engine = createEngine(
      {
        server: { port: 0 },
        admin: { port: 0 },
        threads: { workers: 1 },
        demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      },
      { log },
    );
    for (const [name, handler] of Object.entries(handlers)) engine.route(`/${name}`, handler);
    ({ url } = await engine.listen());
  });
  after(() => engine.close());
  const connect = (name: string) => open(`${url}/${name}`);
  const idle = () => until(() => engine.status().requests.open === 0, 'every stream to end');

  test('relays an upstream: text as it came, finish last, state between messages', async () => {
    const client = await connect('relay');
    for (const count of [1, 2]) {
      client.send({ ask: '@echo zwölf „words“ \\ 🌊' });
      const all = await client.collect(({ text }) => text.startsWith('{"done"'), 10_000);
      assert.equal(
        all
          .slice(0, -1)
          .map(({ text }) => text)
          .join(''),
        'zwölf „words“ \\ 🌊',
      );
      assert.deepEqual(JSON.parse(all.at(-1)?.text ?? ''), { done: true, count, last: 'finish' });
    }
    await client.close();
    await idle();
  });

  test('bytes are bytes, a throw is one typed frame, the session stays', async () => {
    const client = await connect('bytes');
    client.send(new Uint8Array([1, 2]));
    assert.deepEqual([...(await client.next()).bytes], [1, 2]);
    await client.close();
    const failing = await connect('throwing');
    for (let n = 0; n < 2; n++) {
      failing.send('go');
      assert.equal((await failing.next()).text, 'before');
      const { error } = await failing.nextJson<{ error: { code: string } }>();
      assert.equal(error.code, 'MILLRACE_ROUTE_FAILED');
    }
    assert.ok(JSON.stringify(faults).includes('/throwing'));
    await failing.close();
  });

  test('a request that is none is thrown out of the iteration', async () => {
    const client = await connect('nonsense');
    client.send('go');
    assert.match((await client.next()).text, /^messages must be a text or a list/);
    await client.close();
    await idle();
  });

  test('a model that the key may not ask for is not to be had', async () => {
    const other = createEngine(
      {
        server: { port: 0 },
        admin: { enabled: false },
        threads: { workers: 1 },
        keys: [{ name: 'small', key: 'a-key', models: ['tiny*'] }],
        upstreams: [{ name: 'one', url: 'http://127.0.0.1:1/v1', models: ['tiny-1', 'huge'] }],
      },
      { log },
    );
    other.route('/own', async function* (_request, { upstream }) {
      for (const model of ['huge', 'tiny-1']) {
        try {
          for await (const part of upstream.stream({ model, messages: 'a' })) yield part;
        } catch (error) {
          yield (error as { code: string }).code;
        }
      }
    });
    const { url: address } = await other.listen();
    const client = await open(`${address}/own`, { headers: { authorization: 'Bearer a-key' } });
    client.send('go');
    assert.equal((await client.next()).text, 'MILLRACE_MODEL_NOT_FOUND');
    assert.equal((await client.next(10_000)).text, 'MILLRACE_UPSTREAM_REFUSED');
    await client.close();
    await other.close();
  });

  test('messages are handled in order; a client that leaves aborts, closes the upstream, and runs finally', async () => {
    const client = await connect('slow');
    client.send('a');
    client.send('b');
    await client.next(10_000);
    assert.deepEqual(seen, ['in a']);
    assert.ok(engine.status().requests.open > 0);
    client.socket.terminate();
    await until(() => seen.length === 3, 'the generator to end');
    assert.deepEqual(seen, ['in a', 'aborted a', 'out a']);
    await idle();
    const { upstreams } = engine.status();
    await until(
      () => engine.status().upstreams.every(({ inFlight }) => inFlight === 0),
      'no stream upstream',
    );
    assert.equal(upstreams.length, 2);
  });

  test('a client that does not read holds its generator and its upstream, with bounded bytes', async () => {
    const client = await connect('endless');
    client.socket.pause();
    client.send('go');
    const beside = await connect('bytes');
    let before = -1;
    await until(async () => {
      const isHeld = yielded === before;
      before = yielded;
      beside.send('still here?');
      assert.equal((await beside.next()).text, 'text');
      return isHeld && yielded > 0;
    }, 'it to be held');
    assert.ok(yielded < 50_000, `${yielded} yields`);
    client.socket.terminate();
    await beside.close();
  });
});
