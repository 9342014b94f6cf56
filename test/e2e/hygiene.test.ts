/** Secrets never leave, whatever fails; and what clients write can neither forge nor flood the log. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { open, RefusedError } from '../support/client.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { answer, ask, type Event } from '../support/responses.ts';
import { until } from '../support/until.ts';

/** Each with an end of its own, so that a mask that leaves the last characters is found too. */
const canaries = {
  client: 'sk-client-canary-4f1b9e77aa01',
  wrong: 'sk-wrong-canary-90ce3b52bb02',
  upstream: 'sk-upstream-canary-7d21c8e4cc03',
  admin: 'admin-canary-1a2b3c4d5e6fdd04',
};

/** Forms in which a secret may show: itself, base64, its hash, its last characters. */
function traces(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
    createHash('sha256').update(bytes).digest('hex'),
    secret.slice(-8),
  ];
}

const LINE_BYTES_MAX = 8 * 1024;

describe('a gateway whose upstreams repeat the keys they were sent', () => {
  let upstream: Server;
  let gateway: GatewayProcess;
  /** Everything a client or an operator gets to see. */
  const seen: string[] = [];

  before(async () => {
    let turn = 0;
    upstream = createServer((request, response) => {
      const key = request.headers.authorization ?? '';
      request.resume();
      request.on('end', () => {
        const status = [401, 400, 500, 429, 403, 200][turn++ % 6];
        const type = status === 200 ? 'text/event-stream' : 'application/json';
        response.writeHead(status, { 'content-type': type, 'x-request-key': key });
        const error = { error: { message: `Incorrect API key provided: ${key}`, param: key } };
        response.end(status === 200 ? `data: ${JSON.stringify(error)}\n\n` : JSON.stringify(error));
      });
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const { port } = upstream.address() as { port: number };
    gateway = await startGateway({
      server: { port: 0 },
      admin: { port: 0, token: canaries.admin },
      log: { level: 'debug' },
      keys: [canaries.client],
      stream: { maxRetries: 0 },
      upstreams: [{ name: 'leaky', url: `http://127.0.0.1:${port}/v1`, apiKey: canaries.upstream }],
    });
  });
  after(async () => {
    assert.equal(await gateway.end(), 0);
    upstream.close();
  });

  const path = () => `${gateway.url}/v1/responses`;
  const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

  test('no error path shows a key: frames, close reasons, refusals, logs, metrics, status', async () => {
    const client = await open(path(), withKey(canaries.client));
    for (let turn = 0; turn < 12; turn++) {
      ask(client, `my key is not your business ${turn}`, { model: 'any' });
      seen.push(JSON.stringify(await answer(client, 10_000)));
    }
    client.send('{"type": not json');
    seen.push((await client.next()).text);
    client.send(Buffer.from([1, 2, 3]));
    const closed = await client.closed;
    seen.push(JSON.stringify(closed));
    const refused = [
      withKey(canaries.wrong),
      { headers: { authorization: canaries.wrong } },
      { headers: { ...withKey(canaries.wrong).headers, origin: `https://${canaries.wrong}.test` } },
      { headers: { ...withKey(canaries.wrong).headers, host: `${canaries.wrong}.test` } },
      { protocols: [`openai-insecure-api-key.${canaries.wrong}`] },
    ];
    for (const options of refused) {
      await assert.rejects(open(path(), options), (error) => {
        assert.ok(error instanceof RefusedError);
        seen.push(`${error.body}${JSON.stringify(error.headers)}`);
        return true;
      });
    }
    for (const token of [canaries.admin, canaries.wrong]) {
      for (const upstreamName of ['leaky', 'nobody']) {
        const reply = await fetch(`${gateway.admin}/upstreams/${upstreamName}/drain`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}` },
        });
        seen.push(await reply.text());
      }
    }
    for (const what of ['metrics', 'status.json', 'readyz', 'healthz']) {
      seen.push(await (await fetch(`${gateway.admin}/${what}`)).text());
    }
    await until(() => gateway.stdout.includes('"stream":12'), 'the log of the last stream');
    const everything = [...seen, gateway.stdout, gateway.stderr].join('\n');
    assert.ok(
      everything.includes('Incorrect API key provided'),
      'the upstream’s word came through',
    );
    for (const [name, secret] of Object.entries(canaries)) {
      for (const trace of traces(secret)) {
        const at = everything.indexOf(trace);
        const around = everything.slice(Math.max(0, at - 120), at + 120);
        assert.equal(at, -1, `the ${name} key shows as ${trace}: …${around}…`);
      }
    }
  });
});

describe('a gateway that is told odd things', () => {
  const odd = {
    'line breaks': 'a\r\n{"level":"error","msg":"forged"}',
    escapes: '\u001b[31mred\u001b[0m\u0007',
    separators: 'a\u2028b\u2029c\u0085d',
    nul: 'a\u0000b',
    'a million letters': 'm'.repeat(1 << 20),
  };

  test('every log line is one JSON object of at most 8 KiB', async (t) => {
    const gateway = await startGateway({
      server: { port: 0 },
      admin: { port: 0 },
      log: { level: 'debug' },
      demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 10_000 },
    });
    // A gateway that is left running would keep this file from ending.
    t.after(() => gateway.end());
    const client = await open(`${gateway.url}/v1/responses`);
    for (const text of Object.values(odd)) {
      for (const message of [
        { type: text },
        { type: 'response.create', response: { model: text, input: 'x' } },
        { type: 'response.create', stream_id: text, response: { model: 'demo', input: 'x' } },
        {
          type: 'response.create',
          response: { model: 'demo', input: 'x', previous_response_id: text },
        },
        { type: 'response.create', response: { model: 'demo', input: `@echo ${text}` } },
        {
          type: 'response.create',
          response: { model: 'demo', input: `@fault status=400 ${text}` },
        },
      ]) {
        client.send(message);
        const events = await client.collectJson<Event>(
          ({ type }) =>
            /^(error|millrace\.event\.ignored|response\.(completed|failed|incomplete))$/.test(type),
          60_000,
        );
        assert.ok(events.length > 0);
      }
    }
    await client.close();
    for (const text of Object.values(odd)) {
      const path = encodeURIComponent(text).slice(0, 8_000);
      await fetch(`${gateway.url.replace('ws:', 'http:')}/${path}?${path}`).catch(() => undefined);
      await fetch(`${gateway.admin}/${path}`, { headers: { 'user-agent': path } });
    }
    assert.equal(await gateway.end(), 0);
    const lines = gateway.stdout.split('\n').filter((line) => line !== '');
    assert.ok(lines.length > 10, 'the log says something');
    for (const line of lines) {
      const entry = JSON.parse(line) as { level: string; time: string; msg: string };
      assert.equal(entry.msg === 'forged', false);
      assert.match(entry.level, /^(debug|info|warn|error)$/);
      assert.ok(Buffer.byteLength(line) <= LINE_BYTES_MAX, `a line of ${line.length} bytes`);
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      assert.doesNotMatch(line, /[\u0000-\u001f\u007f\u0085\u2028\u2029]/);
    }
  });
});
