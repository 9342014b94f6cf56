/**
 * What an operator gets to see of typical use: one line for each stream and each session, a bounded number for a flood, and nothing
 * of what was said or of any key, wherever one may look.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { open } from '../support/client.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { answer, ask, assertWhole, type Event, isDelta } from '../support/responses.ts';
import { until } from '../support/until.ts';

const planted = {
  key: 'sk-planted-key-0a1b2c3d4e5f',
  wrongKey: 'sk-planted-wrong-6a7b8c9d0e1f',
  upstreamKey: 'sk-planted-upstream-112233445566',
  token: 'planted-admin-token-778899',
  prompt: 'planted prompt xylophone-quokka',
  answer: 'planted answer marzipan-ocelot',
  instructions: 'planted instructions tungsten-yak',
  tool: 'planted_tool_description_heron',
  metadata: 'planted-metadata-value-lynx',
};
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

type Line = Record<string, unknown> & { readonly event: string };

/** An upstream that answers, or breaks off when the prompt says so; it remembers the headers. */
function startUpstream(seen: IncomingMessage[]): Server {
  const server = createServer((request, response) => {
    seen.push(request);
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      if (body.includes('refuse it')) {
        response.writeHead(400, { 'content-type': 'application/json' });
        return response.end(JSON.stringify({ error: { message: 'no' } }));
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = (choice: object, more: object = {}) =>
        `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }], ...more })}\n\n`;
      response.write(chunk({ delta: { content: planted.answer } }));
      if (body.includes('break it')) return void setImmediate(() => response.destroy());
      if (body.includes('hold it')) return undefined;
      const usage = { prompt_tokens: 11, completion_tokens: 22 };
      response.write(chunk({ delta: {}, finish_reason: 'stop' }));
      return response.end(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  return server;
}

describe('a gateway in typical use', () => {
  const seen: IncomingMessage[] = [];
  let upstream: Server;
  let gateway: GatewayProcess;
  before(async () => {
    upstream = startUpstream(seen);
    await once(upstream, 'listening');
    const { port } = upstream.address() as { port: number };
    const url = `http://127.0.0.1:${port}/v1`;
    gateway = await startGateway({
      server: { port: 0 },
      admin: { port: 0, token: planted.token },
      log: { level: 'debug', linesPerSecondMax: 4 },
      keys: [planted.key],
      stream: { maxRetries: 0 },
      upstreams: [{ name: 'only', url, models: ['demo'], apiKey: planted.upstreamKey }],
    });
  });
  after(async () => {
    assert.equal(await gateway.end(), 0);
    upstream.closeAllConnections();
    upstream.close();
  });

  const lines = (event: string) =>
    gateway.stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line.event === event);

  const connect = (path = '/v1/responses', more: Record<string, string> = {}) =>
    open(`${gateway.url}${path}`, {
      headers: { authorization: `Bearer ${planted.key}`, ...more },
    });

  const secretly = {
    instructions: planted.instructions,
    metadata: { note: planted.metadata },
    tools: [{ type: 'function', name: 'f', description: planted.tool, parameters: {} }],
  };

  test('a stream is one line with all there is to know of it, a session another', async () => {
    const client = await connect('/v1/responses', { traceparent: `00-${TRACE}-${PARENT}-01` });
    ask(client, planted.prompt, secretly);
    const end = assertWhole(await answer(client));
    await client.close(1000);
    // The session's is main's own; the stream's comes from its worker.
    const both = () => lines('session-ended').length === 1 && lines('stream-ended').length === 1;
    await until(both, 'both lines');
    const [line, ...others] = lines('stream-ended');
    assert.equal(others.length, 0);
    assert.equal(line['response'], end.response?.id);
    assert.equal(line['outcome'], 'finished');
    assert.deepEqual([line['inputTokens'], line['outputTokens']], [11, 22]);
    assert.equal(line['traceId'], TRACE);
    assert.equal(line['parentSpanId'], PARENT);
    const [attempt] = line['tries'] as { outcome: string; spanId: string; firstMs: number }[];
    assert.equal(attempt.outcome, 'finished');
    assert.ok(attempt.firstMs > 0);
    assert.equal(seen.at(-1)?.headers['traceparent'], `00-${TRACE}-${attempt.spanId}-01`);
    const [session] = lines('session-ended');
    assert.equal(session['session'], line['session']);
    assert.deepEqual(
      [session['closeCode'], session['by'], session['requests']],
      [1000, 'client', 1],
    );
    assert.ok(Number(session['bytesIn']) > 100);
    assert.ok(Number(session['bytesOut']) >= Number(line['bytes']));
  });

  test('failures, cancels and leaving have their lines', async () => {
    const client = await connect();
    for (const how of ['break it', 'refuse it']) {
      ask(client, `${planted.prompt} ${how}`, secretly);
      await answer(client);
    }
    ask(client, `${planted.prompt} hold it`);
    await client.collectJson<Event>(isDelta);
    client.send({ type: 'response.cancel' });
    await answer(client);
    ask(client, `${planted.prompt} hold it`);
    await client.collectJson<Event>(isDelta);
    client.socket.terminate();
    await until(() => lines('stream-ended').length === 5, 'five lines');
    const told = lines('stream-ended').slice(1);
    assert.deepEqual(
      told.map(({ outcome, cause, error }) => [outcome, cause, (error as { code: string })?.code]),
      [
        ['failed', undefined, 'MILLRACE_UPSTREAM_RESET'],
        ['failed', undefined, 'MILLRACE_UPSTREAM_REJECTED'],
        ['cancelled', 'asked', undefined],
        ['cancelled', 'left', undefined],
      ],
    );
    await until(() => lines('session-ended').length === 2, 'the session’s line');
    assert.equal(lines('session-ended')[1]['closeCode'], 1006);
  });

  test('a flood of refused handshakes is a few lines, and one that says how many are missing', async () => {
    const headers = { authorization: `Bearer ${planted.wrongKey}` };
    const flood = 60;
    const all = Array.from({ length: flood }, () => open(`${gateway.url}/chat`, { headers }));
    const outcomes = await Promise.allSettled(all);
    assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    const count = () =>
      lines('suppressed').reduce((sum, line) => sum + Number(line['lines']), 0) +
      lines('handshake-refused').length;
    await until(() => count() === flood, 'every refusal to be told or counted', 10_000);
    assert.ok(lines('handshake-refused').length < flood / 2);
  });

  test('nothing planted shows anywhere: not in the log, not on the admin port', async () => {
    const pages = ['metrics', 'status.json', 'events.json', 'readyz'];
    const texts = await Promise.all(
      pages.map(async (page) => (await fetch(`${gateway.admin}/${page}`)).text()),
    );
    assert.match(texts[2], /"total":\d/);
    const everything = [gateway.stdout, gateway.stderr, ...texts].join('\n');
    for (const [what, secret] of Object.entries(planted)) {
      assert.ok(!everything.includes(secret), `${what} shows`);
      assert.ok(!everything.includes(secret.slice(-10)), `the end of ${what} shows`);
    }
  });

  test('changes of state are kept with their times', async () => {
    upstream.closeAllConnections();
    const page = await fetch(`${gateway.admin}/upstreams/only/drain`, {
      method: 'POST',
      headers: { authorization: `Bearer ${planted.token}` },
    });
    assert.equal(page.status, 200);
    const events = async () => {
      const { events: all } = (await (await fetch(`${gateway.admin}/events.json`)).json()) as {
        events: { number: number; event: string; time: string; upstream?: string }[];
      };
      return all;
    };
    await until(async () => (await events()).some(({ event }) => event === 'upstream-drain'), '…');
    const all = await events();
    assert.ok(all.some(({ event }) => event === 'worker-ready'));
    assert.deepEqual(
      all.map(({ number }) => number),
      all.map((_, at) => at + 1),
    );
    for (const { time } of all) assert.ok(Math.abs(Date.parse(time) - Date.now()) < 120_000, time);
  });
});
