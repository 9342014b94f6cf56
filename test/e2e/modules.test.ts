/** The user's modules over real threads: what they do to their own sessions, and that they cannot do it to anybody else's. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import type { MillraceError } from '../../src/errors.ts';
import { open, type TestClient } from '../support/client.ts';
import { type EngineProcess, startEngineProcess } from '../support/engine-process.ts';
import { until } from '../support/until.ts';

const moduleOf = (name: string) => new URL(`../support/modules/${name}.js`, import.meta.url).href;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Said {
  readonly done?: boolean;
  readonly thread?: number;
  readonly runs?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly retry: string };
}

describe('a route module', () => {
  let engine: EngineProcess;
  before(async () => {
    engine = await startEngineProcess({
      server: { port: 0 },
      admin: { port: 0 },
      routes: [{ path: '/own', module: moduleOf('route') }],
      demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      threads: { workers: 2, heartbeatMs: 20, hungAfterMs: 1_000 },
    });
  });
  after(async () => {
    assert.equal(await engine.close(), 0);
  });

  const connect = () => open(`${engine.url}/own`);
  const last = async (client: TestClient) => {
    const all = await client.collect(({ text }) => /^\{"(done|error)":/.test(text), 20_000);
    return { all, end: JSON.parse(all.at(-1)?.text ?? '') as Said };
  };
  /** Two clients on one worker, one on the other. */
  async function three() {
    const clients = await Promise.all([connect(), connect(), connect(), connect()]);
    const threads = await Promise.all(
      clients.map(async (client) => {
        client.send({ do: 'thread' });
        return (await client.nextJson<Said>()).thread;
      }),
    );
    const [one] = threads;
    const [victim, beside] = clients.filter((_, at) => threads[at] === one);
    const [other] = clients.filter((_, at) => threads[at] !== one);
    return { victim, beside, other, clients };
  }

  test('relays an upstream in every worker, and echoes bytes', async () => {
    const { clients } = await three();
    for (const client of clients) client.send({ do: 'relay', ask: '@echo zwölf „words“ 🌊' });
    for (const client of clients) {
      const { all } = await last(client);
      const text = all.slice(0, -1).map((frame) => frame.text);
      assert.equal(text.join(''), 'zwölf „words“ 🌊');
    }
    clients[0].send(new Uint8Array([1, 2, 3]));
    const { binary, bytes } = await clients[0].next();
    assert.deepEqual([binary, [...bytes]], [true, [1, 2, 3]]);
    await Promise.all(clients.map((client) => client.close()));
  });

  test('a throw ends the answer with one typed frame, the session stays', async () => {
    const client = await connect();
    client.send({ do: 'throw' });
    const { all, end } = await last(client);
    assert.equal(all[0].text, 'before');
    assert.equal(end.error?.code, 'MILLRACE_ROUTE_FAILED');
    client.send({ do: 'thread' });
    assert.ok((await client.nextJson<Said>()).thread);
    await until(() => engine.facts('fault').length > 0, 'the operator hears why');
    assert.match(engine.facts('fault')[0].text, /a fault the test ordered/);
    await client.close();
  });

  test('a generator that never waits does not keep its thread from others, also while its client reads', async () => {
    const { victim, beside, clients } = await three();
    const lost = engine.facts('worker-lost').length;
    let frames = 0;
    victim.socket.on('message', () => frames++);
    victim.send({ do: 'endless' });
    await until(() => frames > 20_000, 'the endless one to run', 20_000);
    beside.send({ do: 'thread' });
    assert.ok((await beside.nextJson<Said>(10_000)).thread);
    assert.equal(engine.facts('worker-lost').length, lost);
    victim.socket.terminate();
    await Promise.all(clients.slice(1).map((client) => client.close()));
  });

  for (const fault of ['exit', 'hang']) {
    test(`a worker lost to a handler (${fault}) ends the begun answer in one typed frame; other workers do not notice`, async () => {
      const { victim, other, clients } = await three();
      other.send({ do: 'relay', ask: '@tokens 400\n@fault rate=400' });
      victim.send({ do: fault });
      const { all, end } = await last(victim);
      assert.equal(all.length, 2, all.map(({ text }) => text).join());
      assert.equal(end.error?.code, 'MILLRACE_WORKER_LOST');
      assert.equal((await last(other)).end.done, true);
      victim.send({ do: 'thread' });
      assert.equal((await victim.nextJson<Said>(10_000)).runs, 1, 'a new worker');
      await Promise.all(clients.map((client) => client.close()));
    });

    test(`a message that loses two workers (${fault}) before its first frame is run once more, then fails`, async () => {
      const client = await connect();
      const before = engine.facts('worker-lost').length;
      client.send({ do: fault, n: 0 });
      const { all, end } = await last(client);
      assert.equal(all.length, 1);
      assert.equal(end.error?.code, 'MILLRACE_WORKER_LOST');
      const lost = () => engine.facts('worker-lost').slice(before);
      await until(() => lost().length === 2, 'both losses to be told');
      assert.deepEqual(
        lost().map(({ fields }) => [fields.rerun, fields.failed]),
        [
          [1, 0],
          [0, 1],
        ],
      );
      await client.close();
    });
  }
});

describe('a module that cannot be used', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  after(() => rmSync(folder, { recursive: true }));
  const broken: Readonly<Record<string, [text: string | undefined, says: RegExp]>> = {
    missing: [undefined, /there is no such file/],
    'syntax error': ['export default function* ( {', /SyntaxError/],
    'an import that is missing': ["import './nowhere.mjs'; export default 1;", /nowhere\.mjs/],
    'a throw while it loads': ["throw new Error('no licence');", /no licence/],
    'no default export': ['export const route = 1;', /it has no default export/],
    'no function': ['export default 1;', /must be an async generator function/],
  };
  for (const [what, [text, says]] of Object.entries(broken)) {
    test(`stops the start with its place and reason: ${what}`, async () => {
      const file = join(folder, `${what.replaceAll(' ', '-')}.mjs`);
      if (text !== undefined) writeFileSync(file, text);
      const engine = createEngine(
        {
          server: { port: 0 },
          admin: { enabled: false },
          threads: { workers: 1 },
          routes: [{ path: '/own', module: file }],
        },
        { log: quiet },
      );
      await assert.rejects(engine.listen(), (error: MillraceError) => {
        assert.equal(error.code, 'MILLRACE_MODULE_UNUSABLE');
        assert.ok(error.message.includes(file), error.message);
        assert.match(error.message, says);
        return true;
      });
      await engine.close();
    });
  }
});
