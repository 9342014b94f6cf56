/**
 * Official SDKs against the whole engine over HTTP, on both backends; the Agents SDK over its socket and over HTTP; Python's SDK over both. The programs
 * under test/clients run as processes of their own and say what they saw; the expectations stand here.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import { backendsHere } from '../support/backend/here.ts';
import { until } from '../support/until.ts';

const root = new URL('../../../', import.meta.url);
const installed = (await import(new URL('scripts/clients.mjs', root).href)) as {
  clients(this: void): string[];
  agents(this: void): string;
  python(this: void): { program: string; script: string } | { missing: string };
};
const folders = installed.clients();
const python = installed.python();

const TEXT = 'größer 日本 🙂';

type Step = Readonly<Record<string, unknown>>;

/** Runs a client program to its end: what it said, by step. */
async function told(program: string, ...args: string[]): Promise<Map<string, Step>> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const steps = new Map<string, Step>();
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const { step, ...what } = JSON.parse(line) as Step & { step: string };
    steps.set(step, what);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, `${args[0]} ended with ${code} after ${[...steps.keys()].at(-1)}`);
  return steps;
}

/** An upstream that is above its limit at first, and says for how long. */
async function limitedUpstream(t: TestContext): Promise<string> {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'POST' && asked++ === 0) {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '3' });
      response.end('{"error":{"message":"slower","code":"rate_limit_exceeded"}}');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const choice = { index: 0, delta: { content: 'patience' }, finish_reason: 'stop' };
    response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`;
}

async function engineUrl(
  t: TestContext,
  backend: 'ws' | 'uws',
): Promise<{ base: string; running: () => Promise<string> }> {
  const engine = createEngine({
    server: { port: 0, backend },
    admin: { port: 0 },
    log: { level: 'silent' },
    demo: { enabled: true, firstTokenMs: 20, tokensPerSecond: 500 },
    upstreams: [{ name: 'limited', url: await limitedUpstream(t), models: ['limited'] }],
    stream: { deadlineMs: 2_500 },
  });
  t.after(() => engine.close());
  const { url, admin } = await engine.listen();
  const base = `${url.replace('ws:', 'http:')}/v1`;
  const running = async () => {
    const text = await (await fetch(`http://127.0.0.1:${admin?.port}/metrics`)).text();
    return /^millrace_streams_running (\d+)$/m.exec(text)?.[1] ?? '';
  };
  return { base, running };
}

for (const backend of backendsHere) {
  for (const [at, version] of ['6', '7'].entries())
    test(`openai ${version} over HTTP by ${backend}: answers, streams, calls, aborts, error classes, retries`, async (t) => {
      const { base, running } = await engineUrl(t, backend);
      const steps = await told(process.execPath, join(folders[at], 'http.mjs'), base);
      const step = (name: string) => steps.get(name) ?? {};
      assert.deepEqual(step('models'), { ids: ['limited', 'demo'], id: 'demo' });
      assert.deepEqual([step('response')['text'], step('response')['status']], [TEXT, 'completed']);
      const streamed = { text: TEXT, last: 'response.completed', contiguous: true };
      assert.deepEqual(step('response stream'), streamed);
      for (const name of ['completion', 'completion stream']) {
        const { text, reason, usage } = step(name) as { [key: string]: unknown; usage: Step };
        assert.deepEqual([text, reason], [TEXT, 'stop']);
        assert.ok(Number(usage['completion_tokens']) > 0);
      }
      const [call] = step('response tool')['calls'] as Step[];
      assert.deepEqual([call['type'], call['arguments']], ['function_call', '{"city":"Köln"}']);
      const called = step('completion tool');
      const { name, arguments: text } = called['call'] as Step;
      assert.deepEqual([name, text], ['weather', '{"city":"Köln"}']);
      assert.deepEqual([called['reason'], called['text']], ['tool_calls', 'so it rains']);
      assert.deepEqual(step('aborted'), { chunks: 5 });
      const failed = (of: string) => {
        const { thrown, api, status, code, param } = step(of);
        return [thrown, api, status, code, param];
      };
      assert.deepEqual(failed('refused'), ['NotFoundError', true, 404, 'model_not_found', 'model']);
      assert.deepEqual(failed('unsupported'), [
        'BadRequestError',
        true,
        400,
        'unsupported_parameter',
        'n',
      ]);
      assert.deepEqual(failed('broken'), ['APIError', true, undefined, 'upstream_reset', null]);
      assert.deepEqual(failed('down'), ['InternalServerError', true, 502, 'upstream_status', null]);
      assert.deepEqual(failed('limited').slice(0, 4), [
        'RateLimitError',
        true,
        429,
        'rate_limit_exceeded',
      ]);
      assert.equal(step('limited')['retryAfter'], '3');
      assert.deepEqual(step('retried'), { text: 'patience' });
      await until(async () => (await running()) === '0', 'the aborted stream to be over');
    });
}

test('agents call tools over their socket, unmoved by what else is said on it, and over HTTP', async (t) => {
  const { base } = await engineUrl(t, backendsHere[0]);
  const steps = await told(process.execPath, join(installed.agents(), 'client.mjs'), base);
  const answered = { text: 'so it rains', asked: ['Köln'] };
  for (const name of ['socket', 'responses stream', 'completions stream']) {
    const { deltas, ...rest } = steps.get(name) ?? {};
    assert.deepEqual(rest, answered, name);
    assert.ok(Number(deltas) > 0, name);
  }
  for (const name of ['socket again', 'responses', 'completions'])
    assert.deepEqual(steps.get(name), answered, name);
  assert.deepEqual(steps.get('sockets'), { count: 1 }, 'all turns on one socket');
});

const missing = 'missing' in python ? python.missing : false;
test('Python’s openai over HTTP and over its socket', { skip: missing }, async (t) => {
  const { base } = await engineUrl(t, backendsHere[0]);
  const { program, script } = python as { program: string; script: string };
  const steps = await told(program, script, base);
  assert.deepEqual(steps.get('response'), { text: TEXT, status: 'completed' });
  assert.deepEqual(steps.get('response stream'), { text: TEXT, last: 'response.completed' });
  const { text, tokens } = steps.get('completion stream') ?? {};
  assert.equal(text, TEXT);
  assert.ok(Number(tokens) > 0);
  const refused = { thrown: 'NotFoundError', status: 404, code: 'model_not_found' };
  assert.deepEqual(steps.get('refused'), refused);
  const broken = { thrown: 'APIError', status: null, code: 'upstream_reset' };
  assert.deepEqual(steps.get('broken'), broken);
  assert.deepEqual(steps.get('socket 0'), { text: 'turn 0 größer' });
  assert.deepEqual(steps.get('socket 1'), { text: 'turn 1 größer' });
});
