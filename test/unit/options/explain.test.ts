/** Goal: the rows say what the schema does. Method: walk all rows and try each limit on the real resolver. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain, type OptionRow } from '../../../src/options/explain.ts';
import { nearest } from '../../../src/options/nearest.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const rows = explain();

/** The user's object that says only this. */
function saying(row: OptionRow, value: unknown): UserOptions {
  const keys = row.path.split('.');
  let tree: unknown = value;
  for (const key of keys.reverse()) {
    if (key.endsWith('[]')) {
      const list = key.slice(0, -2);
      const rest: Record<string, object> = { keys: { key: 'k' }, tiers: {} };
      const required = rest[list] ?? { url: 'http://a/v1' };
      tree = { [list]: [{ name: 'a', ...required, ...(tree as object) }] };
      // A name of the user's; for pieces of text, of a protocol.
    } else tree = { [key === '*' ? 'chat' : key]: tree };
  }
  return tree as UserOptions;
}

/** What must be more than another option is refused for that alone; the limits here are each option's own. */
const between = /must be more than/;

function check(row: OptionRow, value: unknown): string {
  try {
    resolveOptions({ code: saying(row, value) });
    return 'accepted';
  } catch (error) {
    const { message } = error as Error;
    return between.test(message) ? 'accepted' : message;
  }
}

test('every option has one sentence, a unique path, environment name and flag', () => {
  for (const row of rows) {
    assert.match(row.sentence, /^[A-Z].*\.$/, row.path);
    assert.ok(row.expected.length > 0, row.path);
  }
  for (const field of ['path', 'env', 'flag'] as const) {
    const all = rows.map((row) => row[field]).filter((name) => name !== undefined);
    assert.equal(new Set(all).size, all.length, field);
  }
});

test('names follow from the path', () => {
  const of = (path: string) => rows.find((row) => row.path === path);
  assert.equal(of('server.messageBytesMax')?.env, 'MILLRACE_SERVER_MESSAGE_BYTES_MAX');
  assert.equal(of('server.messageBytesMax')?.flag, '--server-message-bytes-max');
  assert.equal(of('server.port')?.flag, '--port');
  assert.equal(of('admin.port')?.flag, '--admin-port');
  assert.equal(of('upstreams[].url')?.env, undefined);
});

test('secrets have no flag, because a command line is public', () => {
  const secrets = rows.filter((row) => row.secret);
  assert.deepEqual(
    secrets.map((row) => row.path),
    [
      'server.tls.passphrase',
      'server.tls.sni[].passphrase',
      'keys',
      'keys[].key',
      'upstreams[].apiKey',
      'upstreams[].apiKeys',
      'admin.token',
    ],
  );
  for (const row of secrets) assert.equal(row.flag, undefined);
});

for (const row of rows.filter((r) => r.kind === 'integer' || r.kind === 'number')) {
  test(`${row.path} takes its minimum and maximum and nothing beyond`, () => {
    const { minimum, maximum } = row;
    assert.ok(minimum !== undefined && maximum !== undefined, 'every number is bounded');
    const step = row.kind === 'integer' ? 1 : 1e-6;
    assert.equal(check(row, minimum), 'accepted');
    assert.equal(check(row, maximum), 'accepted');
    const path = row.path.replace('[]', '[0]').replace('*', 'chat');
    for (const bad of [minimum - step, maximum + step, Number.NaN, '1', null, {}]) {
      const line = check(row, bad);
      assert.ok(line.startsWith(`${path} must be ${row.expected}, got `), line);
    }
    if (row.kind === 'integer') assert.notEqual(check(row, minimum + 0.5), 'accepted');
  });
}

for (const row of rows.filter((r) => r.kind === 'choice')) {
  test(`${row.path} takes its choices and nothing else`, () => {
    for (const choice of row.choices) {
      const said = check(row, choice);
      // Some ask for a companion: that is no complaint about the choice.
      assert.ok(said === 'accepted' || / needs | is for the provider /.test(said), said);
    }
    assert.notEqual(check(row, `${row.choices[0]}x`), 'accepted');
    assert.notEqual(check(row, ''), 'accepted');
  });
}

test('texts are taken at their bounds and refused beyond', () => {
  const at = (path: string, value: unknown) => {
    const row = rows.find((each) => each.path === path);
    assert.ok(row, path);
    return check(row, value) === 'accepted';
  };
  const cases: [path: string, good: unknown[], bad: unknown[]][] = [
    ['upstreams[].name', ['a', 'A.b_c-9', 'x'.repeat(64)], ['', 'x'.repeat(65), 'a b', 'ä', 'a/b']],
    ['upstreams[].url', ['http://a', 'https://a/v1'], ['', 'a', 'ftp://a', 'ws://a', '//a']],
    ['upstreams[].healthPath', ['/', '/x'], ['', 'x']],
    ['upstreams[].models', [[], ['a']], [[''], 'a', [1]]],
    ['admin.token', ['x'.repeat(8)], ['', 'x'.repeat(7)]],
    ['server.host', ['::1', 'a'], ['']],
    ['paths.chat', ['/', '/x'], ['', 'x']],
    ['keys', [[], ['a'], [{ name: 'n', key: 'k' }, 'a']], [[''], 'a', [1], [{ name: 'n' }]]],
    ['keys[].paths', [[], ['/x', 'chat']], [['x'], [''], 'chat']],
    [
      'keys[].expiresAt',
      ['2030-01-31T00:00:00Z', '2030-01-31T00:00:00.5+02:00'],
      ['2030-01-31', 'soon', '2030-13-31T00:00:00Z', 5],
    ],
    ['server.page', [true, false], ['true', 1, null]],
  ];
  for (const [path, good, bad] of cases) {
    for (const value of good) assert.ok(at(path, value), `${path} ${JSON.stringify(value)}`);
    for (const value of bad) assert.ok(!at(path, value), `${path} ${JSON.stringify(value)}`);
  }
});

test('64 upstreams are taken, 65 are not', () => {
  const some = (n: number) =>
    Array.from({ length: n }, (_, i) => ({ name: `u${i}`, url: 'http://a' }));
  assert.equal(resolveOptions({ code: { upstreams: some(64) } }).options.upstreams.length, 64);
  assert.throws(() => resolveOptions({ code: { upstreams: some(65) } }), {
    message: 'upstreams must be a list of at most 64 entries, got a list of 65 (code)',
  });
});

test('a default is a value that its own option accepts', () => {
  for (const row of rows) {
    if (row.fallback !== undefined) assert.equal(check(row, row.fallback), 'accepted', row.path);
  }
});

test('every environment name reaches its option', () => {
  const text: Record<string, string> = {
    integer: '300',
    number: '0.5',
    boolean: 'true',
    text: '/some-text',
    list: '10.0.0.1,10.0.0.2',
    objects: '[]',
    names: '{}',
  };
  for (const row of rows) {
    if (row.env === undefined) continue;
    const clamped = Math.max(row.minimum ?? 0, Math.min(row.maximum ?? 0, 300));
    const said =
      row.kind === 'integer' ? String(clamped) : (text[row.kind] ?? row.choices.at(-1) ?? '');
    // The companions that another option must exceed.
    const env = {
      MILLRACE_SERVER_IDLE_TIMEOUT_MS: '1000000',
      MILLRACE_SERVER_PING_INTERVAL_MS: '200',
      MILLRACE_THREADS_HEARTBEAT_MS: '20',
      // One that counts exactly is a small window.
      ...(row.env.endsWith('_EXACT') && {
        [row.env.replace(/EXACT$/, 'ALGORITHM')]: 'SlidingWindow',
        [row.env.replace(/EXACT$/, 'MAX_REQUESTS_PER_SECOND')]: '1',
      }),
      ...(row.env.endsWith('_PACED') && {
        [row.env.replace(/PACED$/, 'ALGORITHM')]: 'LeakyBucket',
        [row.env.replace(/PACED$/, 'MAX_BURST')]: '9',
      }),
      [row.env]: said,
    };
    const { origins } = resolveOptions({ env });
    if (row.kind !== 'objects' && row.kind !== 'names')
      assert.equal(origins.get(row.path), `environment ${row.env}`);
  }
});

test('the nearest name forgives case, separators, swaps and small slips, and stays silent otherwise', () => {
  const known = ['port', 'host', 'allowedHosts', 'page'];
  assert.equal(nearest('prot', known), 'port');
  assert.equal(nearest('allowed-hosts', known), 'allowedHosts');
  assert.equal(nearest('alowedHost', known), 'allowedHosts');
  assert.equal(nearest('PORT', known), 'port');
  assert.equal(nearest('zebra', known), undefined);
  assert.equal(nearest('', known), undefined);
  assert.equal(nearest('x', []), undefined);
});
