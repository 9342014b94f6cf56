/** Limits through the whole engine: workers share them, an HTTP client reads in its headers what it has left, a handshake is refused before the upgrade. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine } from '../../src/engine/engine.ts';
import type { UserOptions } from '../../src/options/schema.ts';
import { open, RefusedError } from '../support/client.ts';
import { posted } from '../support/posted.ts';
import { until } from '../support/until.ts';

const TOKEN = 'operator-token';

async function start(t: { after(run: () => unknown): void }, limits: UserOptions['limits']) {
  const options: UserOptions = {
    server: { port: 0 },
    admin: { port: 0, token: TOKEN },
    log: { level: 'silent' },
    threads: { workers: 2 },
    upstreams: [],
    demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 5_000 },
    limits,
  };
  const engine = createEngine(options);
  t.after(() => engine.close());
  const { url, admin } = await engine.listen();
  return {
    update: (changed: UserOptions['limits']) => engine.update({ ...options, limits: changed }),
    url,
    http: url.replace('ws:', 'http:'),
    admin: `http://127.0.0.1:${admin?.port}`,
  };
}

test('two workers keep one limit exactly; whoever is refused reads when to come back and what is left', async (t) => {
  const { http, admin } = await start(t, {
    perKey: { maxRequestsPerSecond: 0.01, maxBurst: 7 },
  });
  const ask = () => posted(`${http}/v1/responses`, { model: 'demo', input: '@echo hi' });
  const answers = await Promise.all(Array.from({ length: 20 }, ask));
  const served = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status === 429);
  assert.deepEqual([served.length, refused.length], [7, 13]);
  const left = served.map(({ headers }) => Number(headers.get('x-ratelimit-remaining-requests')));
  // Each after its own; the other worker may have been in between.
  assert.ok(left.every((each) => each >= 0 && each <= 6) && left.includes(0), left.join());
  for (const { headers, json } of refused) {
    const seconds = Number(headers.get('retry-after'));
    assert.ok(seconds > 90 && seconds <= 100, `${seconds} s`);
    assert.equal(headers.get('x-ratelimit-limit-requests'), '7');
    assert.equal(headers.get('x-ratelimit-remaining-requests'), '0');
    assert.match(String(headers.get('x-ratelimit-reset-requests')), /^1[01]m\d+s$/);
    assert.equal((json['error'] as { code: string }).code, 'rate_limit_exceeded');
  }
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  assert.match(metrics, /millrace_limit_checks_total\{scope="key",verdict="allowed"\} 7\n/);
  assert.match(metrics, /millrace_limit_checks_total\{scope="key",verdict="refused"\} 13\n/);

  assert.equal((await fetch(`${admin}/limits.json`)).status, 401);
  const view = await fetch(`${admin}/limits.json`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { keys, top } = (await view.json()) as { keys: number; top: Record<string, unknown>[] };
  assert.equal(keys, 1);
  assert.deepEqual([top[0]['scope'], top[0]['refusals'], top[0]['remaining']], ['key', 13, 0]);
  assert.match(String(top[0]['key']), /^[0-9a-f]{16}$/);
});

test('keys name a tier, and have its limits', async (t) => {
  const tiers = [
    { name: 'free', perKey: { maxRequestsPerSecond: 0.01, maxBurst: 1 } },
    { name: 'gold', perKey: { maxRequestsPerSecond: 0.01, maxBurst: 3 } },
  ];
  const engine = createEngine({
    server: { port: 0 },
    admin: { port: 0, token: TOKEN },
    log: { level: 'silent' },
    threads: { workers: 2 },
    keys: [
      { name: 'small', key: 'key-of-small', tier: 'free' },
      { name: 'large', key: 'key-of-large', tier: 'gold' },
      { name: 'other', key: 'key-of-other' },
    ],
    demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 5_000 },
    limits: { tiers, perKey: { maxRequestsPerSecond: 0.01, maxBurst: 2 } },
  });
  t.after(() => engine.close());
  const { url, admin } = await engine.listen();
  const served = async (key: string) => {
    const ask = () =>
      posted(
        `${url.replace('ws:', 'http:')}/v1/responses`,
        { model: 'demo', input: '@echo hi' },
        { authorization: `Bearer ${key}` },
      );
    const answers = await Promise.all(Array.from({ length: 6 }, ask));
    return answers.filter(({ status }) => status === 200).length;
  };
  const counts = [
    await served('key-of-small'),
    await served('key-of-large'),
    await served('key-of-other'),
  ];
  assert.deepEqual(counts, [1, 3, 2]);
  const view = await fetch(`http://127.0.0.1:${admin?.port}/limits.json`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { top } = (await view.json()) as { top: { name: string; refusals: number }[] };
  assert.deepEqual(
    top.map(({ name, refusals }) => [name, refusals]),
    [
      ['small', 5],
      ['other', 4],
      ['large', 3],
    ],
  );
});

test('budgets are in the headers and in the view too', async (t) => {
  const { http, admin } = await start(t, {
    tokens: { perKey: { outputTokensPerMinute: 2_000 }, outputTokensAssumed: 1_500 },
  });
  const ask = (more: object = {}) =>
    posted(`${http}/v1/chat/completions`, {
      model: 'demo',
      messages: [{ role: 'user', content: '@tokens 300' }],
      ...more,
    });
  const first = await ask();
  assert.equal(first.status, 200);
  assert.equal(first.headers.get('x-ratelimit-limit-tokens'), '2000');
  assert.equal(first.headers.get('x-ratelimit-remaining-tokens'), '2000');
  const second = await ask({ max_completion_tokens: 2_000 });
  assert.equal(second.status, 429);
  assert.ok(Number(second.headers.get('x-ratelimit-remaining-tokens')) < 2_000);
  assert.equal((second.json['error'] as { code: string }).code, 'rate_limit_exceeded');
  const view = await fetch(`${admin}/limits.json`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { top } = (await view.json()) as { top: Record<string, unknown>[] };
  assert.deepEqual([top[0]['scope'], top[0]['refusals']], ['output_tokens', 1]);
});

test('an address over its limit is refused before the upgrade, until its time has come', async (t) => {
  const { url } = await start(t, { perAddress: { maxRequestsPerSecond: 0.01, maxBurst: 2 } });
  const clients = await Promise.all([open(`${url}/chat`), open(`${url}/chat`)]);
  await assert.rejects(
    open(`${url}/chat`),
    (error) =>
      error instanceof RefusedError &&
      error.status === 429 &&
      Number(error.headers['retry-after']) > 50,
  );
  // Its messages count too.
  clients[0].send({ message: '@echo hi' });
  const [first] = await clients[0].collectJson<{ content: string; error?: object; done: boolean }>(
    ({ done }) => done,
  );
  assert.equal(first.content, 'Rate limit exceeded');
  await Promise.all(clients.map((client) => client.close()));
});

test('a session says no more than its rate, and changed limits hold at once', async (t) => {
  const { update, url } = await start(t, {
    perSession: { maxRequestsPerSecond: 0.01, maxBurst: 1 },
  });
  const client = await open(`${url}/v1/responses`);
  t.after(() => client.close());
  const ask = async () => {
    client.send({ type: 'response.create', model: 'demo', input: '@echo hi' });
    const events = await client.collectJson<{ type: string; error?: { code: string } }>(
      ({ type }) => type === 'response.completed' || type === 'error',
    );
    return events.at(-1)?.error?.code ?? events.at(-1)?.type;
  };
  assert.equal(await ask(), 'response.completed');
  assert.equal(await ask(), 'rate_limit_exceeded');
  await update({});
  assert.equal(await ask(), 'response.completed');
});

test('an exact window is one over workers, remembers its requests through changed limits of others, and more than was set aside is refused', async (t) => {
  const perKey = {
    algorithm: 'SlidingWindow',
    maxRequestsPerSecond: 0.05,
    windowSizeMs: 100_000,
    exact: true,
  } as const;
  const { http, update } = await start(t, { perKey });
  const ask = () => posted(`${http}/v1/responses`, { model: 'demo', input: '@echo hi' });
  const served = async () =>
    (await Promise.all(Array.from({ length: 9 }, ask))).filter(({ status }) => status === 200)
      .length;
  assert.equal(await served(), 5);
  assert.equal(await served(), 0);
  const { status, headers } = await ask();
  assert.equal(status, 429);
  const seconds = Number(headers.get('retry-after'));
  assert.ok(seconds > 60 && seconds <= 100, `${seconds} s`);
  await assert.rejects(
    async () => update({ perKey: { ...perKey, maxBurst: 60 } }),
    /limits\.perKey\.exact needs windows of at most limits\.exactRequestsMax \(32\) requests, got 65/,
  );
  await update({ perKey: { ...perKey, maxBurst: 1 } });
  // Each worker hears of it in its own time.
  let anew = 0;
  await until(async () => (anew += await served()) >= 6, 'changed limits to begin anew');
  assert.equal(anew, 6);
  assert.equal(await served(), 0);
});
