/** Hooks, providers and dialects of the user's own over real threads. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import type { MillraceError } from '../../src/errors.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { open, RefusedError, type TestClient } from '../support/client.ts';
import { type EngineProcess, startEngineProcess } from '../support/engine-process.ts';
import { until } from '../support/until.ts';

const moduleOf = (name: string) => new URL(`../support/modules/${name}.js`, import.meta.url).href;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
after(() => rmSync(folder, { recursive: true }));

interface Chat {
  readonly content: string;
  readonly done: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

describe('a hooks module', () => {
  let engine: EngineProcess;
  const told = join(folder, 'finished');
  before(async () => {
    process.env['MILLRACE_TEST_FINISHED'] = told;
    engine = await startEngineProcess({
      server: { port: 0 },
      admin: { port: 0 },
      keys: ['a key that no longer counts'],
      hooks: { module: moduleOf('hooks'), timeoutMs: 500 },
      demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      threads: { workers: 2, heartbeatMs: 20, hungAfterMs: 1_000 },
    });
  });
  after(async () => {
    delete process.env['MILLRACE_TEST_FINISHED'];
    assert.equal(await engine.close(), 0);
  });

  const connect = (key?: string) =>
    open(`${engine.url}/chat?tenant=t1`, {
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    });
  const refusal = async (key?: string) => {
    try {
      await connect(key);
    } catch (error) {
      if (error instanceof RefusedError) return { status: error.status, body: error.body };
      throw error;
    }
    return assert.fail('it was let in');
  };
  const ask = async (client: TestClient, message: string) => {
    client.send({ message });
    const frames = await client.collectJson<Chat>(({ done }) => done, 10_000);
    return { text: frames.map(({ content }) => content).join(''), end: frames.at(-1) };
  };

  test('lets in whom it knows, and its words for the others are the answer', async () => {
    const client = await connect('ada');
    assert.equal((await ask(client, '@echo hello')).text, 'hello');
    await client.close();
    const { status, body } = await refusal();
    assert.equal(status, 402);
    assert.match(body, /bring a key/);
  });

  test('decides about every request, and is told every end', async () => {
    const client = await connect('ada');
    const { end } = await ask(client, 'something forbidden');
    assert.equal(end?.error?.code, 'MILLRACE_REQUEST_REFUSED');
    assert.equal(end?.error?.message, 'ada:t1 may not say that');
    assert.equal((await ask(client, 'throw')).end?.error?.code, 'MILLRACE_HOOK_FAILED');
    assert.equal((await ask(client, '@echo after that')).text, 'after that');
    const lines = () => readFileSync(told, 'utf8').trim().split('\n');
    await until(() => lines().some((text) => text.includes('after that')), 'onFinish to be told');
    const last = JSON.parse(lines().at(-1) ?? '') as Record<string, string>;
    assert.deepEqual([last['text'], last['principal']], ['after that', 'ada:t1']);
    assert.deepEqual([last['outcome'], last['dialect']], ['finished', 'chat']);
    await client.close();
  });

  for (const fault of ['throw', 'never', 'exit', 'hang']) {
    test(`a client it gives no answer for (${fault}) is refused with 503, and the next one comes in`, async () => {
      const lost = engine.facts('worker-lost').length;
      const { status, body } = await refusal(fault);
      assert.equal(status, 503);
      assert.match(body, /"code":"hook_failed"/);
      const ready = engine.facts('worker-ready').length;
      if (fault === 'exit' || fault === 'hang') {
        await until(() => engine.facts('worker-lost').length > lost, 'the worker to be lost');
        await until(() => engine.facts('worker-ready').length >= ready, 'the next one');
      }
      await until(async () => {
        const client = await connect('ada').catch(() => undefined);
        if (!client) return false;
        const { text } = await ask(client, '@echo still here');
        await client.close();
        return text === 'still here';
      }, 'a client to come in');
    });
  }
});

/** An upstream that speaks chat completions, one word after another. */
async function upstream(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = (choice: object) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`;
    response.write(chunk({ delta: { content: 'zwölf' } }));
    response.end(`${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` };
}

describe('a provider and a dialect of the user', () => {
  let served: Awaited<ReturnType<typeof upstream>>;
  before(async () => {
    served = await upstream();
  });
  after(() => {
    served.server.close();
    served.server.closeAllConnections();
  });

  const options = (more: UserOptions = {}): UserOptions => ({
    server: { port: 0 },
    admin: { port: 0 },
    threads: { workers: 1 },
    stream: { maxRetries: 0 },
    providers: { mine: moduleOf('provider') },
    dialects: { line: { module: moduleOf('dialect'), path: '/line' } },
    upstreams: [{ name: 'one', url: served.url, provider: 'mine', models: ['demo'] }],
    ...more,
  });

  test('carry a stream, and what they throw ends one stream, typed', async () => {
    const engine = createEngine(options(), { log: quiet });
    const { url } = await engine.listen();
    const client = await open(`${url}/line`);
    const ask = async (text: string) => {
      client.send(text);
      const frames = await client.collect((frame) => !frame.text.startsWith('+'), 10_000);
      return frames.map((frame) => frame.text);
    };
    assert.deepEqual(await ask('hello'), ['+zwölf', '.stop']);
    for (const text of ['encode throws', 'decode throws', 'begin throws']) {
      assert.match((await ask(text)).join(), /MILLRACE_INTERNAL/, text);
    }
    for (const fault of ['decoder throws', 'push throws', 'fails with any error']) {
      assert.deepEqual(await ask(`fault ${fault}`), ['ok']);
      assert.deepEqual(await ask('hello'), ['!MILLRACE_INTERNAL'], fault);
    }
    assert.deepEqual(await ask('fault '), ['ok']);
    assert.deepEqual(await ask('hello'), ['+zwölf', '.stop']);
    const metrics = await engine.metrics.exportText();
    assert.match(metrics, /millrace_streams_started_total\{dialect="line"\} [1-9]/);
    assert.match(metrics, /millrace_workers_lost_total 0/);
    await client.close();
    await engine.close();
  });

  const broken: Readonly<
    Record<string, [UserOptions['providers'], UserOptions['dialects'], RegExp]>
  > = {
    'a provider without decoder': [
      { mine: write('no-decoder.mjs', 'export default { encode() {}, refusal() {} };') },
      {},
      /the provider module .*no-decoder\.mjs cannot be used: .*decoder\(\) is missing/,
    ],
    'a dialect without complain': [
      { mine: moduleOf('provider') },
      {
        line: {
          module: write('no-complain.mjs', 'export default { binary: true, conversation() {} };'),
          path: '/line',
        },
      },
      /the dialect module .*complain\(\) is missing/,
    ],
    'a dialect that does not say whether it takes bytes': [
      { mine: moduleOf('provider') },
      {
        line: {
          module: write('no-binary.mjs', 'export default { complain() {}, conversation() {} };'),
          path: '/line',
        },
      },
      /it needs `binary`, true or false/,
    ],
  };
  for (const [what, [providers, dialects, says]] of Object.entries(broken)) {
    test(`stops the start: ${what}`, async () => {
      const engine = createEngine(options({ providers, dialects }), { log: quiet });
      await assert.rejects(engine.listen(), (error: MillraceError) => {
        assert.equal(error.code, 'MILLRACE_MODULE_UNUSABLE');
        assert.match(error.message, says);
        return true;
      });
    });
  }

  for (const [text, says] of [
    [
      'export default { onRequst() {} };',
      /it holds onRequst; hooks are functions named onAuth, onRequest, onFinish/,
    ],
    ['export default {};', /it holds none/],
    ['export default { onAuth: 1 };', /it holds onAuth/],
    ['export default () => {};', /must be an object of onAuth/],
  ] as const) {
    test(`stops the start: hooks that are ${text}`, async () => {
      const hooks = write(`hooks-${text.length}.mjs`, text);
      const engine = createEngine(options({ hooks }), { log: quiet });
      await assert.rejects(engine.listen(), (error: MillraceError) => {
        assert.equal(error.code, 'MILLRACE_MODULE_UNUSABLE');
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}
