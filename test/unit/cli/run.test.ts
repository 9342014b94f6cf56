/** Goal: what a person sees at the terminal. Method: the real program in a process of its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { explain } from '../../../src/options/explain.ts';
import { millrace } from '../../support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
after(() => rmSync(folder, { recursive: true }));

test('--version is the version of the package', async () => {
  const file = new URL('../../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  assert.deepEqual(await millrace(['--version']), { code: 0, out: `${version}\n`, err: '' });
});

test('--help names the commands and shows examples', async () => {
  const { code, out, err } = await millrace(['--help']);
  assert.equal(code, 0);
  assert.equal(err, '');
  for (const word of ['serve', 'check-config', 'millrace serve --demo', 'Examples:']) {
    assert.ok(out.includes(word), word);
  }
});

test('serve --help shows the common flags with default and environment name, and no secret', async () => {
  const { code, out } = await millrace(['serve', '--help']);
  assert.equal(code, 0);
  for (const word of ['--port <n>', 'MILLRACE_SERVER_PORT', '--demo', '--config', '--workers']) {
    assert.ok(out.includes(word), word);
  }
  assert.ok(!out.includes('--admin-token'));
});

test('no command at all shows the help and is a wrong use', async () => {
  const { code, out, err } = await millrace([]);
  assert.equal(code, 2);
  assert.equal(out, '');
  assert.match(err, /Usage: millrace/);
});

test('a wrong flag or command is one line that says what was meant, with exit code 2', async () => {
  const cases: [string[], string][] = [
    [['serve', '--prot', '1'], "unknown option '--prot' (Did you mean --port?)"],
    [['serv'], "unknown command 'serv' (Did you mean serve?)"],
    [['serve', '--port'], "option '--port <n>' argument missing"],
    [['serve', 'x'], "too many arguments for 'serve'. Expected 0 arguments but got 1."],
    [
      ['serve', '--config', '/nope.yaml'],
      'cannot read the configuration /nope.yaml: there is no such file',
    ],
    [
      ['serve', '--port', '65536'],
      'server.port must be an integer from 0 to 65535, got 65536 (flag --port)',
    ],
  ];
  for (const [args, text] of cases) {
    const { code, out, err } = await millrace(args);
    assert.deepEqual({ code, out, err }, { code: 2, out: '', err: `millrace: ${text}\n` });
  }
});

test('several mistakes are several lines', async () => {
  const { code, err } = await millrace(['serve', '--log-level', 'loud'], {
    MILLRACE_SERVER_PORT: 'x',
  });
  assert.equal(code, 2);
  assert.equal(err.trim().split('\n').length, 2);
});

test('check-config prints what is in force with its origin, and hides secrets', async () => {
  const file = join(folder, 'a.yaml');
  writeFileSync(
    file,
    'keys: [top-secret]\nupstreams:\n  - name: a\n    url: http://a/v1\n    apiKey: top-secret\n',
  );
  const env = { MILLRACE_SERVER_PORT: '9', MILLRACE_CONFIG: file };
  const { code, out, err } = await millrace(['check-config', '--page'], env);
  assert.equal(code, 0, err);
  const lines = out.split('\n');
  assert.ok(lines.includes('server.port = 9  # environment MILLRACE_SERVER_PORT'));
  assert.ok(lines.includes('server.page = true  # flag --page'));
  assert.ok(lines.includes('server.host = "127.0.0.1"  # default'));
  assert.ok(lines.includes(`keys = (hidden)  # file ${file}:1:7`));
  assert.ok(lines.includes(`upstreams[0].apiKey = (hidden)  # file ${file}:5:13`));
  assert.ok(!out.includes('top-secret'));
});

test('the demo brings its page, unless it is said otherwise', async () => {
  const page = async (args: string[]) =>
    /server\.page = (\w+)/.exec((await millrace(['check-config', ...args])).out)?.[1];
  assert.equal(await page([]), 'false');
  assert.equal(await page(['--demo']), 'true');
  assert.equal(await page(['--demo', '--page', 'false']), 'false');
  assert.equal(await page(['--demo', 'false']), 'false');
});

test('options lists every option, as text and as JSON', async () => {
  const { out } = await millrace(['options']);
  for (const row of explain()) {
    assert.ok(out.includes(`${row.path}  (`), row.path);
    assert.ok(out.includes(row.sentence), row.path);
  }
  const json = await millrace(['options', '--json']);
  assert.deepEqual(JSON.parse(json.out), JSON.parse(JSON.stringify(explain())));
});

test('options --env lists the environment names, each once, as an environment file', async () => {
  const { code, out } = await millrace(['options', '--env']);
  assert.equal(code, 0);
  const names = out.split('\n').flatMap((line) => /^#(MILLRACE_\w+)=/.exec(line)?.[1] ?? []);
  const known = explain().flatMap(({ env }) => env ?? []);
  assert.deepEqual(names, ['MILLRACE_CONFIG', ...known]);
});

test('version says what --version says, and the Node it runs on', async () => {
  const [plain, flag, json] = await Promise.all([
    millrace(['version']),
    millrace(['--version']),
    millrace(['version', '--json']),
  ]);
  assert.deepEqual(plain, flag);
  const told = { millrace: plain.out.trim(), node: process.versions.node };
  assert.deepEqual(JSON.parse(json.out), told);
});

test('every command has a --help with examples, which help NAME shows too', async () => {
  const { out } = await millrace(['--help']);
  const names = [...out.matchAll(/^  ([a-z][a-z-]*)(?: .*)?$/gm)].map(([, name]) => name);
  const real = names.filter((name) => name !== 'help');
  assert.ok(real.length >= 6, out);
  for (const name of real) {
    const [flag, word] = [await millrace([name, '--help']), await millrace(['help', name])];
    assert.equal(flag.code, 0, name);
    assert.match(flag.out, /^Examples:\n {2}\$ /m, name);
    assert.deepEqual(word, flag, name);
  }
});

test('--version, version and --help load no heavy library', async () => {
  // Says on standard error what is loaded, from a thread of the loader's own.
  const hook = `import { writeSync } from 'node:fs';
    export const load = (url, context, next) => { writeSync(2, 'load ' + url + '\\n'); return next(url, context); };`;
  const data = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const preload = `import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`;
  const loads = async (...args: string[]) => {
    const { code, err } = await millrace(args, { NODE_OPTIONS: `--import=${data(preload)}` });
    assert.equal(code, 0, err);
    const found = [...err.matchAll(/^load .*\/node_modules\/([\w.-]+)\//gm)].map(
      ([, name]) => name,
    );
    return [...new Set(found)];
  };
  assert.deepEqual(await loads('--version'), []);
  assert.deepEqual(await loads('version'), ['commander']);
  assert.deepEqual(await loads('--help'), ['commander']);
  // The hook sees what it looks for.
  assert.ok((await loads('options')).includes('zod'));
});

test('nothing is coloured, on request or not', async () => {
  const environments: Record<string, string>[] = [{}, { FORCE_COLOR: '1' }, { NO_COLOR: '1' }];
  for (const env of environments) {
    for (const args of [['--help'], ['serve', '--prot'], ['check-config']]) {
      const { out, err } = await millrace(args, env);
      assert.ok(!(out + err).includes('\u001b'), args.join(' '));
    }
  }
});

test('a port that is taken is one line and exit code 1', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => blocker.once('listening', resolve));
  const { port } = blocker.address() as { port: number };
  try {
    const { code, err } = await millrace([
      ...['serve', '--port', '0', '--backend', 'ws', '--workers', '1'],
      ...['--admin-port', String(port), '--log-level', 'silent'],
    ]);
    assert.equal(
      err,
      `millrace: 127.0.0.1:${port} is taken by another process; choose another port or stop it\n`,
    );
    assert.equal(code, 1);
  } finally {
    blocker.close();
  }
});
