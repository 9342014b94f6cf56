/** Goal: what an operator, a probe and an attacker get from the admin port. Method: real requests over loopback. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { type Admin, type AdminSources, startAdmin } from '../../../src/main/admin.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const TOKEN = 'correct-horse';

interface Setting {
  readonly admin: Admin;
  readonly state: { ready: boolean; reason: string };
  readonly drains: [string, boolean][];
  readonly weights: [string, number][];
  readonly faults: string[];
}

async function setting(
  t: TestContext,
  own: UserOptions['admin'] = { token: TOKEN },
  changes: Partial<AdminSources> = {},
): Promise<Setting> {
  const { options } = resolveOptions({
    code: {
      admin: { port: 0, ...own },
      server: { allowedHosts: ['ops.example'] },
      upstreams: [{ name: 'a.b-c', url: 'http://127.0.0.1:1/v1' }],
    },
  });
  const state = { ready: true, reason: 'serving' };
  const drains: [string, boolean][] = [];
  const weights: [string, number][] = [];
  const faults: string[] = [];
  const admin = await startAdmin(options, {
    ready: () => state,
    metrics: async (accept) => ({
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      text: accept === 'odd/type' ? 'odd\n' : 'metric 1\n',
    }),
    events: () => ({ total: 1, events: [{ number: 1, event: 'upstream-health' }] }),
    limits: () => ({ keys: 0, keysMax: 16, top: [] }),
    status: () => ({ uptimeS: 1 }),
    drain: async (upstream, drained) => void drains.push([upstream, drained]),
    weigh: async (upstream, weight) => void weights.push([upstream, weight]),
    fault: (_, where) => void faults.push(where),
    ...changes,
  });
  t.after(() => admin.close());
  return { admin, state, drains, weights, faults };
}

interface Asked {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function ask(
  admin: Admin,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Asked> {
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port: admin.port, path, method, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const codeOf = ({ body }: Asked) => (JSON.parse(body) as { error: { code: string } }).error.code;

test('health is 200 while the process lives, whatever readiness says', async (t) => {
  const { admin, state } = await setting(t);
  state.ready = false;
  const { status, body, headers } = await ask(admin, '/healthz');
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(body), { status: 'alive' });
  assert.equal(headers['cache-control'], 'no-store');
});

test('readiness is 200 or 503, with the reason', async (t) => {
  const { admin, state } = await setting(t);
  assert.equal((await ask(admin, '/readyz')).status, 200);
  Object.assign(state, { ready: false, reason: 'draining' });
  const { status, body } = await ask(admin, '/readyz');
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(body), { ready: false, reason: 'draining' });
});

test('metrics and status come from their sources, with their types', async (t) => {
  const { admin } = await setting(t);
  const metrics = await ask(admin, '/metrics?x=1');
  assert.equal(metrics.body, 'metric 1\n');
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(metrics.headers['vary'], 'accept');
  const odd = await ask(admin, '/metrics', { headers: { accept: 'odd/type' } });
  assert.equal(odd.body, 'odd\n', 'the source hears what the scraper prefers');
  const events = await ask(admin, '/events.json');
  assert.equal((JSON.parse(events.body) as { total: number }).total, 1);
  const status = await ask(admin, '/status.json');
  assert.deepEqual(JSON.parse(status.body), { uptimeS: 1 });
});

test('who was refused most is told to nobody without the token', async (t) => {
  const { admin } = await setting(t);
  assert.equal((await ask(admin, '/limits.json')).status, 401);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const told = await ask(admin, '/limits.json', { headers });
  assert.deepEqual(JSON.parse(told.body), { keys: 0, keysMax: 16, top: [] });
  assert.equal((await ask(admin, '/limits.json', { method: 'POST', headers })).status, 405);
});

test('HEAD gets the length without the body', async (t) => {
  const { admin } = await setting(t);
  const { status, body, headers } = await ask(admin, '/metrics', { method: 'HEAD' });
  assert.equal(status, 200);
  assert.equal(body, '');
  assert.equal(headers['content-length'], '9');
});

test('an unknown path is 404 and a wrong method 405 with what is allowed', async (t) => {
  const { admin } = await setting(t);
  for (const path of ['/', '/metrics/', '/__proto__', '/upstreams/a.b-c', '//healthz']) {
    assert.equal((await ask(admin, path)).status, 404, path);
  }
  const post = await ask(admin, '/metrics', { method: 'POST' });
  assert.equal(post.status, 405);
  assert.equal(post.headers.allow, 'GET, HEAD');
  const get = await ask(admin, '/upstreams/a.b-c/drain');
  assert.equal(get.status, 405);
  assert.equal(get.headers.allow, 'POST');
});

test('an upstream is drained and taken back with the token', async (t) => {
  const { admin, drains } = await setting(t);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const drained = await ask(admin, '/upstreams/a.b-c/drain', { method: 'POST', headers });
  assert.equal(drained.status, 200);
  assert.deepEqual(JSON.parse(drained.body), { upstream: 'a.b-c', drained: true });
  const back = await ask(admin, '/upstreams/a%2Eb-c/undrain', { method: 'POST', headers });
  assert.equal(back.status, 200);
  assert.deepEqual(drains, [
    ['a.b-c', true],
    ['a.b-c', false],
  ]);
});

test('an upstream gets another weight and its own back with the token, within the bounds', async (t) => {
  const { admin, weights } = await setting(t);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const weigh = (said: string) =>
    ask(admin, `/upstreams/a.b-c/weight/${said}`, { method: 'POST', headers });
  for (const [said, weight] of [
    ['1', 1],
    ['65535', 65_535],
    ['configured', 'configured'],
  ] as const) {
    const { status, body } = await weigh(said);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), { upstream: 'a.b-c', weight });
  }
  const made = [
    ['a.b-c', 1],
    ['a.b-c', 65_535],
    ['a.b-c', 0],
  ];
  assert.deepEqual(weights, made);
  for (const said of ['0', '65536']) {
    const refused = await weigh(said);
    assert.equal(refused.status, 400);
    assert.match(refused.body, /weight must be a number from 1 to 65535, or configured, got/);
  }
  for (const said of ['-1', '1.5', '123456', '', 'x'])
    assert.equal((await weigh(said)).status, 404);
  const other = await ask(admin, '/upstreams/b/weight/2', { method: 'POST', headers });
  assert.equal(codeOf(other), 'upstream_not_found');
  const bare = await ask(admin, '/upstreams/a.b-c/weight/2', { method: 'POST' });
  assert.equal(bare.status, 401);
  assert.equal((await ask(admin, '/upstreams/a.b-c/weight/2')).status, 405);
  assert.deepEqual(weights, made);
});

test('without the right token nothing is drained', async (t) => {
  const { admin, drains } = await setting(t);
  const wrong = ['', 'Bearer', 'Bearer ', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, TOKEN];
  for (const authorization of [...wrong, `Basic ${TOKEN}`, `Bearer ${TOKEN} ${TOKEN}`]) {
    const asked = await ask(admin, '/upstreams/a.b-c/drain', {
      method: 'POST',
      headers: { authorization },
    });
    assert.equal(asked.status, 401, authorization);
    assert.equal(codeOf(asked), 'token_invalid');
    assert.equal(asked.headers['www-authenticate'], 'Bearer');
    assert.ok(!asked.body.includes(TOKEN));
  }
  assert.deepEqual(drains, []);
});

test('without a configured token actions are refused, whatever is sent', async (t) => {
  const { admin, drains } = await setting(t, {});
  for (const authorization of ['Bearer x', 'Bearer undefined', '']) {
    const asked = await ask(admin, '/upstreams/a.b-c/drain', {
      method: 'POST',
      headers: { authorization },
    });
    assert.equal(asked.status, 403);
    assert.equal(codeOf(asked), 'actions_off');
  }
  assert.deepEqual(drains, []);
});

test('an unknown upstream is 404, only after the token', async (t) => {
  const { admin } = await setting(t);
  const method = 'POST';
  assert.equal((await ask(admin, '/upstreams/nope/drain', { method })).status, 401);
  const headers = { authorization: `Bearer ${TOKEN}` };
  for (const name of ['nope', '%zz', '%00']) {
    const asked = await ask(admin, `/upstreams/${name}/drain`, { method, headers });
    assert.equal(asked.status, 404, name);
  }
});

test('metrics that cannot be exported are answered with 500 and the reason, and are reported', async (t) => {
  const broken = { metrics: () => Promise.reject(new Error('a collector broke')) };
  const { admin, faults } = await setting(t, {}, broken);
  const { status, body, headers } = await ask(admin, '/metrics');
  assert.deepEqual([status, body], [500, 'Failed to export metrics: a collector broke']);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.deepEqual(faults, ['admin /metrics']);
});

test('a failure of a source is told by its code; a bug only as internal, and is reported', async (t) => {
  const failing = new MillraceError('MILLRACE_COORDINATOR_LOST', { reason: 'gone' });
  const { admin, faults } = await setting(
    t,
    { token: TOKEN },
    {
      drain: () => Promise.reject(failing),
      status: () => {
        throw new TypeError('a secret detail');
      },
    },
  );
  const headers = { authorization: `Bearer ${TOKEN}` };
  const drain = await ask(admin, '/upstreams/a.b-c/drain', { method: 'POST', headers });
  assert.equal(drain.status, 500);
  assert.equal(codeOf(drain), 'coordinator_lost');
  assert.deepEqual(faults, []);
  const status = await ask(admin, '/status.json');
  assert.equal(status.status, 500);
  assert.equal(codeOf(status), 'internal');
  assert.ok(!status.body.includes('secret detail'));
  assert.deepEqual(faults, ['admin /status.json']);
});

test('a Host that a page could have rebound is refused; ours and addresses of this machine are served', async (t) => {
  const { admin } = await setting(t);
  const statusFor = async (host: string) =>
    (await ask(admin, '/healthz', { headers: { host } })).status;
  const port = `:${admin.port}`;
  const ours = ['localhost', `localhost${port}`, `127.0.0.1${port}`, '[::1]', 'ops.example:1'];
  for (const host of [...ours, 'LOCALHOST']) assert.equal(await statusFor(host), 200, host);
  const foreign = ['evil.example', `evil.example${port}`, 'localhost.evil.example', '10.0.0.1'];
  for (const host of [...foreign, '127.0.0.1.evil.example', 'ops.example.evil']) {
    assert.equal(await statusFor(host), 403, host);
  }
});

test('listening on every address serves addresses as Host, still no foreign names', async (t) => {
  const { admin } = await setting(t, { host: '0.0.0.0' });
  const statusFor = async (host: string) =>
    (await ask(admin, '/healthz', { headers: { host } })).status;
  assert.equal(await statusFor('10.0.0.1:9090'), 200);
  assert.equal(await statusFor('[fe80::1]:9090'), 200);
  assert.equal(await statusFor('evil.example'), 403);
});

test('a body at the bound is dropped, one above it is refused, and the port lives on', async (t) => {
  const { admin, drains } = await setting(t);
  const send = (bytes: number) =>
    ask(admin, '/upstreams/a.b-c/drain', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: 'x'.repeat(bytes),
    });
  assert.equal((await send(0)).status, 200);
  assert.equal((await send(64 * 1024)).status, 200);
  assert.equal((await send(64 * 1024 + 1)).status, 413);
  assert.equal(drains.length, 2);
  assert.equal((await ask(admin, '/healthz')).status, 200);
});

test('a body above the bound is answered before all of it came', async (t) => {
  const { admin } = await setting(t);
  const socket = connect(admin.port, '127.0.0.1');
  socket.on('error', () => {});
  const head = 'POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n';
  socket.write(head + 'x'.repeat(70_000));
  let text = '';
  for await (const part of socket) text += String(part);
  assert.match(text, /^HTTP\/1\.1 413 [^]*connection: close/i);
});

test('bytes that are no HTTP get an answer, not a crash', async (t) => {
  const { admin } = await setting(t);
  const socket = connect(admin.port, '127.0.0.1');
  socket.end('\0\0garbage\r\n\r\n');
  let text = '';
  for await (const part of socket) text += String(part);
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.equal((await ask(admin, '/healthz')).status, 200);
});

test('a taken port is told as such', async (t) => {
  const { admin } = await setting(t);
  await assert.rejects(setting(t, { port: admin.port }), {
    code: 'MILLRACE_PORT_TAKEN',
    message: `127.0.0.1:${admin.port} is taken by another process; choose another port or stop it`,
  });
  await assert.rejects(setting(t, { host: '192.0.2.1' }), { code: 'MILLRACE_LISTEN_FAILED' });
});

test('closing frees the port even with a client that never finishes its request', async (t) => {
  const { admin } = await setting(t);
  const socket = connect(admin.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n');
  assert.equal((await ask(admin, '/healthz')).status, 200);
  await admin.close();
  await assert.rejects(ask(admin, '/healthz'), { code: 'ECONNREFUSED' });
});
