/** Goal: precedence, every kind of mistake with its words, secrets never shown. Method: real files in a temporary folder. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { resolveOptions, type Sources } from '../../../src/options/resolve.ts';
import type { UserOptions } from '../../../src/options/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-options-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function config(text: string): string {
  files++;
  const path = join(folder, `config-${files}.yaml`);
  writeFileSync(path, text);
  return path;
}

function refused(sources: Sources): MillraceError {
  let thrown: unknown;
  try {
    resolveOptions(sources);
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof MillraceError, `not refused: ${String(thrown)}`);
  return thrown;
}

const lines = (sources: Sources) => refused(sources).message.split('\n');
const wrong = (code: unknown) => lines({ code: code as UserOptions });

test('nothing said gives the defaults, all of origin default', () => {
  const { options, origins } = resolveOptions();
  assert.equal(options.server.port, 8080);
  assert.equal(options.server.host, '127.0.0.1');
  assert.deepEqual(options.upstreams, []);
  assert.equal(origins.get('server.port'), 'default');
  assert.deepEqual([...new Set(origins.values())], ['default']);
});

test('flags win over the environment, it over the file, it over code, it over the default', () => {
  const file = config('server:\n  host: 0.0.0.3\n  port: 3\n  sessionsMax: 3\n');
  const code = { server: { host: '0.0.0.2', port: 2, sessionsMax: 2, page: true } };
  const env = { MILLRACE_SERVER_HOST: '0.0.0.4', MILLRACE_SERVER_PORT: '4' };
  const { options, origins } = resolveOptions({ code, file, env, flags: { 'server.port': '5' } });
  assert.equal(options.server.port, 5);
  assert.equal(options.server.host, '0.0.0.4');
  assert.equal(options.server.sessionsMax, 3);
  assert.equal(options.server.page, true);
  assert.equal(options.server.reusePort, false);
  assert.equal(origins.get('server.port'), 'flag --port');
  assert.equal(origins.get('server.host'), 'environment MILLRACE_SERVER_HOST');
  assert.equal(origins.get('server.sessionsMax'), `file ${file}:4:16`);
  assert.equal(origins.get('server.page'), 'code');
  assert.equal(origins.get('server.reusePort'), 'default');
});

test('a stronger source replaces a list as a whole, with its origins', () => {
  const code = {
    upstreams: [
      { name: 'a', url: 'http://a/v1' },
      { name: 'b', url: 'http://b/v1' },
    ],
  };
  const env = { MILLRACE_UPSTREAMS: '[{"name":"c","url":"http://c/v1"}]' };
  const { options, origins } = resolveOptions({ code, env });
  assert.deepEqual(
    options.upstreams.map((u) => u.name),
    ['c'],
  );
  assert.equal(origins.get('upstreams[0].name'), 'environment MILLRACE_UPSTREAMS');
  assert.equal(origins.get('upstreams[0].weight'), 'default');
  assert.equal(origins.get('upstreams[1].name'), undefined);
});

test('the environment is parsed by the type of the option', () => {
  const { options } = resolveOptions({
    env: {
      MILLRACE_SERVER_PORT: ' 0 ',
      MILLRACE_SERVER_PAGE: 'yes',
      MILLRACE_SERVER_ALLOWED_HOSTS: 'a.example, b.example',
      MILLRACE_SERVER_ALLOWED_ORIGINS: '',
      MILLRACE_STREAM_RETRIES_RUNNING_SHARE: '0.5',
      MILLRACE_SERVER_BACKEND: 'ws',
      MILLRACE_KEYS: 'one,two',
      OTHER: 'x',
    },
  });
  assert.equal(options.server.port, 0);
  assert.equal(options.server.page, true);
  assert.deepEqual(options.server.allowedHosts, ['a.example', 'b.example']);
  assert.deepEqual(options.server.allowedOrigins, []);
  assert.equal(options.stream.retriesRunningShare, 0.5);
  assert.equal(options.server.backend, 'ws');
  assert.deepEqual(options.keys, ['one', 'two']);
});

test('every form of a boolean is understood, and nothing else', () => {
  for (const text of ['true', '1', 'on', 'YES']) {
    assert.equal(resolveOptions({ env: { MILLRACE_SERVER_PAGE: text } }).options.server.page, true);
  }
  for (const text of ['false', '0', 'off', 'No']) {
    const { options } = resolveOptions({ env: { MILLRACE_SERVER_PAGE: text } });
    assert.equal(options.server.page, false);
  }
  assert.deepEqual(lines({ env: { MILLRACE_SERVER_PAGE: 'maybe' } }), [
    'server.page must be true or false, got "maybe" (environment MILLRACE_SERVER_PAGE)',
  ]);
});

test('numbers are not guessed from text that merely begins with one', () => {
  for (const text of ['80x', '', '0x50', 'Infinity', 'NaN']) {
    assert.deepEqual(lines({ env: { MILLRACE_SERVER_PORT: text } }), [
      `server.port must be an integer from 0 to 65535, got ${JSON.stringify(text)} (environment MILLRACE_SERVER_PORT)`,
    ]);
  }
});

test('all mistakes of all sources are reported at once, each with its place', () => {
  const file = config('server:\n  prot: 1\nlog:\n  level: loud\n');
  assert.deepEqual(
    lines({
      file,
      env: { MILLRACE_SERVER_PROT: '1' },
      flags: { 'server.port': 'x' },
      code: { stream: { maxRetries: -1 } },
    }),
    [
      'MILLRACE_SERVER_PROT is not an option; did you mean MILLRACE_SERVER_PORT? (environment)',
      'server.port must be an integer from 0 to 65535, got "x" (flag --port)',
      `server.prot is not an option; did you mean server.port? (file ${file}:2:3)`,
      'stream.maxRetries must be an integer from 0 to 100, got -1 (code)',
      `log.level must be one of silent, error, warn, info, debug, got "loud" (file ${file}:4:10)`,
    ],
  );
});

test('an unknown key names the nearest sibling, or the place where it belongs', () => {
  assert.deepEqual(wrong({ port: 1 }), ['port is not an option; did you mean server.port? (code)']);
  assert.deepEqual(wrong({ sever: { port: 1 } }), [
    'sever is not an option; did you mean server? (code)',
  ]);
  assert.deepEqual(wrong({ server: { allowed_hosts: [] } }), [
    'server.allowed_hosts is not an option; did you mean server.allowedHosts? (code)',
  ]);
  assert.deepEqual(wrong({ upstreams: [{ name: 'a', url: 'http://a', wieght: 1 }] }), [
    'upstreams[0].wieght is not an option; did you mean upstreams[0].weight? (code)',
  ]);
  assert.deepEqual(wrong({ zebra: 1 }), ['zebra is not an option (code)']);
});

test('a missing value says that nothing was there', () => {
  assert.deepEqual(wrong({ upstreams: [{ name: 'a' }] }), [
    'upstreams[0].url must be a URL that begins with http:// or https:// (ws:// or wss:// for a WebSocket back end), got nothing (code)',
  ]);
});

test('a group or a list in the wrong shape is one problem', () => {
  assert.deepEqual(wrong({ server: 5 }), ['server must be a group of options, got 5 (code)']);
  assert.deepEqual(wrong({ server: [] }), ['server must be a group of options, got a list (code)']);
  assert.deepEqual(wrong({ upstreams: 'x' }), [
    'upstreams must be a list of at most 64 entries, got a text (hidden) (code)',
  ]);
  assert.deepEqual(wrong({ upstreams: ['x'] }), [
    'upstreams[0] must be a group of options, got a text (hidden) (code)',
  ]);
  assert.deepEqual(wrong({ server: { allowedHosts: [5] } }), [
    'server.allowedHosts[0] must be a text, got 5 (code)',
  ]);
  assert.deepEqual(wrong(5), ['the options must be an object, got 5']);
});

test('what the schema cannot see: names twice, paths twice, a size that is no power of two', () => {
  const url = 'http://a/v1';
  assert.deepEqual(
    wrong({
      upstreams: [
        { name: 'a', url },
        { name: 'a', url },
      ],
    }),
    ['upstreams[1].name must differ from upstreams[0].name, got "a" (code)'],
  );
  assert.deepEqual(wrong({ upstreams: [{ name: 'a', url: 'http://u:p@a/v1' }] }), [
    'upstreams[0].url must not hold a user or password; use apiKey (code)',
  ]);
  assert.deepEqual(wrong({ paths: { chat: '/x', echo: '/x' } }), [
    'paths.echo must differ from paths.chat, got "/x" (code)',
  ]);
  assert.deepEqual(wrong({ memory: { ringBytes: 65_537 } }), [
    'memory.ringBytes must be a power of two, got 65537 (code)',
  ]);
});

test('a timeout that strikes before its warning is refused, at the bound too', () => {
  const idle = (pingIntervalMs: number, idleTimeoutMs: number) => ({
    server: { pingIntervalMs, idleTimeoutMs },
  });
  assert.equal(resolveOptions({ code: idle(500, 501) }).options.server.idleTimeoutMs, 501);
  assert.deepEqual(wrong(idle(500, 500)), [
    'server.idleTimeoutMs must be more than server.pingIntervalMs (500), got 500 (code)',
  ]);
  assert.deepEqual(wrong({ server: { idleTimeoutMs: 20_000 } }), [
    'server.idleTimeoutMs must be more than server.pingIntervalMs (30000), got 20000 (code)',
  ]);
  assert.deepEqual(wrong({ threads: { heartbeatMs: 50, hungAfterMs: 50 } }), [
    'threads.hungAfterMs must be more than threads.heartbeatMs (50), got 50 (code)',
  ]);
});

test('secrets are never in a message, wherever they stand', () => {
  const secret = 'sk-very-secret';
  const cases: Sources[] = [
    { code: { keys: secret } as unknown as UserOptions },
    { code: { keys: [{ key: secret }] } as unknown as UserOptions },
    { code: { admin: { token: [secret] } } as unknown as UserOptions },
    { code: { upstreams: [{ name: 'a', url: 'ftp://x', apiKey: [secret] }] } as never },
    { code: { upstreams: [{ name: 'a', url: `ftp://user:${secret}@x` }] } },
    { code: { keyz: [secret] } as unknown as UserOptions },
    { env: { MILLRACE_ADMIN_TOKEN: 'sk-very' } },
    { env: { MILLRACE_UPSTREAMS: `[{"apiKey":"${secret}"}]` } },
    { file: config(`admin:\n  token: "${secret}\n`) },
    { file: config(`admin:\n  token: *${secret}\n`) },
    { file: config(`keys: [a\n${secret}: }`) },
  ];
  for (const sources of cases) {
    const { message } = refused(sources);
    assert.ok(!message.includes('sk-very'), message);
  }
  // A list that does not parse is shown neither: it may hold keys.
  const { message } = refused({ env: { MILLRACE_UPSTREAMS: `[{"apiKey":"${secret}"` } });
  assert.ok(!message.includes('sk-very'), message);
});

test('a secret may name an environment variable, which must be set', () => {
  const file = config(
    'keys: ["${CLIENT_KEY}"]\nupstreams:\n  - name: a\n    url: http://a/v1\n    apiKey: ${KEY_OF_A}\n',
  );
  const { options } = resolveOptions({ file, env: { CLIENT_KEY: 'one', KEY_OF_A: 'two' } });
  assert.deepEqual(options.keys, ['one']);
  assert.equal(options.upstreams[0].apiKey, 'two');
  assert.deepEqual(lines({ file, env: { CLIENT_KEY: 'one' } }), [
    `upstreams[0].apiKey names the environment variable KEY_OF_A, which is not set (file ${file}:5:13)`,
  ]);
});

test('only secrets are filled from the environment', () => {
  const { options } = resolveOptions({
    code: { server: { host: '${HOST}' } },
    env: { HOST: 'elsewhere' },
  });
  assert.equal(options.server.host, '${HOST}');
});

test('the result is plain, frozen all the way down, survives a clone and resolves to itself', () => {
  const { options } = resolveOptions({ code: { upstreams: [{ name: 'a', url: 'http://a/v1' }] } });
  assert.deepEqual(structuredClone(options), options);
  assert.throws(() => {
    (options.server as { port: number }).port = 1;
  }, TypeError);
  assert.throws(() => {
    (options.upstreams as unknown[]).push({});
  }, TypeError);
  assert.deepEqual(resolveOptions({ code: options }).options, options);
});

test('the objects of the caller are neither changed nor frozen', () => {
  const code: UserOptions = { server: { port: 1 }, upstreams: [{ name: 'a', url: 'http://a/v1' }] };
  const before = structuredClone(code);
  resolveOptions({ code, flags: { 'server.port': '2' } });
  assert.deepEqual(code, before);
  assert.ok(!Object.isFrozen(code.upstreams));
});

test('a file that cannot be read or parsed says why and where', () => {
  const missing = join(folder, 'missing.yaml');
  assert.equal(
    refused({ file: missing }).message,
    `cannot read the configuration ${missing}: there is no such file`,
  );
  assert.match(refused({ file: folder }).message, /it is a folder$/);
  const broken = config('server:\n\tport: 1\n');
  assert.equal(
    refused({ file: broken }).message,
    `cannot read the configuration ${broken}:2:1: a tab indents this line; YAML indents with spaces`,
  );
  const twice = config('server:\n  port: 1\n  port: 2\n');
  assert.equal(
    refused({ file: twice }).message,
    `server.port stands twice, first in line 2 (file ${twice}:3:3)`,
  );
  assert.match(refused({ file: config('- 1\n') }).message, /must hold options by name, such as/);
  const large = config(`# ${'x'.repeat(1024 * 1024)}`);
  assert.match(refused({ file: large }).message, /more than 1048576 bytes$/);
  assert.equal(refused({ file: missing }).code, 'MILLRACE_CONFIG_UNREADABLE');
});

test('an empty file says nothing, and JSON is understood', () => {
  assert.equal(resolveOptions({ file: config('') }).options.server.port, 8080);
  assert.equal(resolveOptions({ file: config('# only words\n') }).options.server.port, 8080);
  const json = config('{"server": {"port": 7}}');
  assert.equal(resolveOptions({ file: json }).options.server.port, 7);
});

test('a file cannot reach the prototype', () => {
  const file = config('__proto__:\n  polluted: 1\n');
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  assert.match(refused({ file }).message, /^__proto__ is not an option/);
});

test('names that an orchestrator sets for a service called millrace are left alone', () => {
  const env = {
    MILLRACE_SERVICE_HOST: '10.0.0.1',
    MILLRACE_SERVICE_PORT: '80',
    MILLRACE_SERVICE_PORT_HTTP: '80',
    MILLRACE_PORT: 'tcp://10.0.0.1:80',
    MILLRACE_PORT_80_TCP: 'tcp://10.0.0.1:80',
    MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
  };
  assert.equal(resolveOptions({ env }).options.server.port, 8080);
  assert.throws(() => resolveOptions({ env: { MILLRACE_PORT: '80' } }));
});
