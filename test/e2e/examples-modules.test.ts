/** The examples of modules do what they say. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createEngine } from '../../src/engine/engine.ts';
import { inspectOptions } from '../../src/options/resolve.ts';
import { open } from '../support/client.ts';
import { until } from '../support/until.ts';

const example = (path: string) =>
  fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test('examples/route: a draft and its title, streamed one after the other, with state between messages', async () => {
  const child = spawn(process.execPath, [example('route/server.mjs')], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  await until(() => /ws:\S+\/summary/.test(out), 'the address', 20_000);
  const client = await open(/ws:\S+\/summary/.exec(out)?.[0] ?? '');
  interface Said {
    stage?: string;
    turns?: number;
    piece?: string;
    done?: boolean;
    upstream?: string;
  }
  for (const turns of [1, 2]) {
    client.send({ question: '@echo a draft' });
    const all = await client.collectJson<Said>(({ done }) => done === true, 20_000);
    assert.deepEqual(all[0], { stage: 'draft', turns });
    const title = all.findIndex(({ stage }) => stage === 'title');
    const draft = all.slice(0, title).map(({ piece }) => piece ?? '');
    assert.equal(draft.join(''), 'a draft');
    assert.ok(all.slice(title).some(({ piece }) => piece !== undefined));
    assert.match(all.at(-1)?.upstream ?? '', /^simulated-/);
  }
  await client.close();
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

/** What the example's provider talks to. */
async function words(answer: (prompt: string) => string[], status = 200) {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const { prompt } = JSON.parse(body) as { prompt: string };
      response.writeHead(status, { 'content-type': 'application/x-ndjson' });
      for (const line of answer(prompt)) response.write(line);
      response.end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Chat {
  content: string;
  done: boolean;
  error?: { code: string };
}

test('examples/custom-provider: words as lines of JSON, split anywhere, and the ways they break', async () => {
  const { resolved, problems } = inspectOptions({ file: example('custom-provider/millrace.yaml') });
  assert.deepEqual(problems, []);
  assert.ok(resolved);
  const url = await words((prompt) => {
    if (prompt === 'truncated') return ['{"word":"half"}\n'];
    if (prompt === 'nonsense') return ['no json\n'];
    return [`{"word":"${prompt}"}\n{"wo`, 'rd":" zwölf"}\n{"end":true}\n'];
  });
  const refusing = await words(() => ['too busy'], 503);
  const upstream = { ...resolved.options.upstreams[0], url };
  const engine = createEngine(
    {
      server: { port: 0 },
      admin: { port: 0 },
      threads: { workers: 1 },
      stream: { maxRetries: 1, retryDelayMs: 1 },
      providers: { ...resolved.options.providers },
      // The first refuses: the stream moves on.
      upstreams: [{ ...upstream, name: 'busy', url: refusing }, upstream],
    },
    { log: quiet },
  );
  const client = await open(`${(await engine.listen()).url}/chat`);
  const ask = async (message: string) => {
    client.send({ message });
    const all = await client.collectJson<Chat>(({ done }) => done, 10_000);
    return { text: all.map(({ content }) => content).join(''), code: all.at(-1)?.error?.code };
  };
  assert.deepEqual(await ask('hello'), { text: 'hello zwölf', code: undefined });
  assert.deepEqual(await ask('truncated'), { text: 'half', code: 'MILLRACE_UPSTREAM_TRUNCATED' });
  const nonsense = await ask('nonsense');
  assert.match(nonsense.code ?? '', /MILLRACE_UPSTREAM_(MALFORMED|STATUS)/);
  await client.close();
  await engine.close();
});
