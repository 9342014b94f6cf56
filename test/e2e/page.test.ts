import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { createEngine } from '../../src/engine/engine.ts';
import { createLink, retryDelayMs } from '../../src/main/page/link.ts';
import { until } from '../support/until.ts';

const engine = createEngine({
  server: { port: 0, page: true },
  admin: { enabled: false },
  log: { level: 'silent' },
  demo: { enabled: true, firstTokenMs: 10, tokensPerSecond: 400 },
});
const { url } = await engine.listen();
after(() => engine.close({ drain: false }));
const address = url.replace('ws:', 'http:');
const response = await fetch(`${address}/`);
const html = await response.text();
/** Everything the page loads, by the path it asks for. */
const files = new Map<string, string>();
for (const [, path] of html.matchAll(/(?:src|href)="(page\/[^"]+)"/g)) {
  const file = await fetch(`${address}/${path}`);
  assert.equal(file.status, 200, path);
  files.set(path, await file.text());
}
const scripts = [...files].filter(([path]) => path.endsWith('.js'));

test('the page is a few small files that load nothing else and talk to their own host alone', async () => {
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /connect-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  const all = [html, ...files.values()].join('\n');
  assert.ok(Buffer.byteLength(all) < 64 * 1024, `${all.length} bytes`);
  assert.deepEqual(all.match(/(?:https?:)?\/\/[a-z0-9][^']*/gi), ['http://www.w3.org/2000/svg']);
  assert.doesNotMatch(all, /<(?:img|iframe)[^>]+src=|@import|[ :]url\(|sourceMappingURL/);
  for (const [path, text] of scripts) {
    for (const [, name] of text.matchAll(/from '\.\/([^']+)'/g))
      assert.ok(files.has(`page/${name}`), `${path} loads ${name}, which is announced`);
  }
  const missing = await fetch(`${address}/page/tsconfig.json`);
  assert.equal(missing.status, 404);
});

test('the page says that answers are simulated, and knows its own elements', () => {
  assert.match(html, /<strong>Simulated\.<\/strong>/);
  assert.match(html, /<meta name="viewport"/);
  assert.doesNotMatch(html, / on\w+="| style="/);
  const code = scripts.map(([, text]) => text).join('\n');
  assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/);
  const wanted = [...code.matchAll(/byId\('(\w+)'/g)].map((found) => found[1]);
  assert.ok(wanted.length > 10);
  for (const id of new Set(wanted)) assert.match(html, new RegExp(`id="${id}"`), id);
});

test('the demo answers for its page alone: GET, our own Host, no secrets', async () => {
  const status = await fetch(`${address}/demo/status`);
  const told = (await status.json()) as { upstreams: { name: string }[]; failures: unknown[] };
  assert.deepEqual(
    told.upstreams.map(({ name }) => name),
    ['simulated-a', 'simulated-b'],
  );
  assert.deepEqual(told.failures, []);
  assert.equal((await fetch(`${address}/demo/status`, { method: 'POST' })).status, 405);
  const { status: foreign } = await rawGet(address, 'evil.example', '/demo/status');
  assert.equal(foreign, 403);
});

for (const [what, options] of [
  ['without the page', { server: { port: 0 }, demo: { enabled: true } }],
  ['without the demo', { server: { port: 0, page: true } }],
] as const) {
  test(`${what} there is no /demo/status`, async (t) => {
    const other = createEngine({ ...options, admin: { enabled: false }, log: { level: 'silent' } });
    t.after(() => other.close());
    const at = (await other.listen()).url.replace('ws:', 'http:');
    assert.equal((await fetch(`${at}/demo/status`)).status, 404);
  });
}

test('its waits before connecting again are jittered over a doubling bound', () => {
  const highest = (attempt: number) => retryDelayMs(attempt, () => 1);
  assert.deepEqual([0, 1, 2, 3].map(highest), [500, 1000, 2000, 4000]);
  assert.equal(highest(1000), 15_000);
  assert.equal(
    retryDelayMs(3, () => 0),
    0,
  );
});

test('its link comes back after a restart and says so', async (t) => {
  const options = {
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true },
  } as const;
  const first = createEngine({ ...options, server: { port: 0, backend: 'ws' } });
  const { url, port } = await first.listen();
  const states: string[] = [];
  const lost: number[] = [];
  const link = createLink(() => new BrowserSocket(`${url}/v1/responses`), {
    state: (state, text) => void states.push(`${state}: ${text}`),
    event() {},
    lost: (code) => void lost.push(code),
  });
  t.after(() => link.close());
  await until(() => states.at(-1)?.startsWith('open'), 'the page to connect');
  await first.close({ drain: true });
  await until(() => lost.length === 1, 'the page to be told');
  assert.deepEqual(lost, [1012]);
  assert.match(
    states.find((state) => state.startsWith('waiting')) ?? '',
    /server restarting, again in/,
  );
  assert.equal(link.send({ type: 'response.create' }), false);

  const second = createEngine({ ...options, server: { port, backend: 'ws' } });
  t.after(() => second.close());
  await second.listen();
  await until(() => states.at(-1)?.startsWith('open'), 'the page to be back', 20_000);
});

/** A browser's socket tells an error only by its close; one of `ws` throws what nobody listens to. */
class BrowserSocket extends WebSocket {
  constructor(at: string) {
    super(at);
    this.on('error', () => {});
  }
}

/** fetch sets Host itself. */
function rawGet(at: string, host: string, path: string): Promise<{ status: number | undefined }> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, at), { headers: { host } }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode });
    });
    asked.on('error', reject).end();
  });
}
