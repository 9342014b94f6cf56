/** Goal: check-config tells everything at once, to people and to programs, and no secret. Method: the real program. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { millrace } from '../../support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-check-'));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return name;
};
const check = (args: string[], env: Record<string, string> = {}) =>
  millrace(['check-config', ...args], env, folder);

/** The same mistakes in three languages: where each stands. */
const wrong: readonly [name: string, text: string, places: readonly string[]][] = [
  [
    'w.yaml',
    'server:\n  prot: 1\n  page: 7\nupstreams:\n  - name: a\n    url: http://a\n    wieght: 2\nkeys: top-secret\n',
    ['2:3', '3:9', '7:5', '8:7'],
  ],
  [
    'w.toml',
    'keys = "top-secret"\n[server]\nprot = 1\npage = 7\n[[upstreams]]\nname = "a"\nurl = "http://a"\nwieght = 2\n',
    ['3:1', '4:8', '8:1', '1:8'],
  ],
  [
    'w.json',
    '{"server": {"prot": 1,\n "page": 7},\n"upstreams": [{"name": "a",\n "url": "http://a",\n "wieght": 2}],\n"keys": "top-secret"}\n',
    ['1:13', '2:10', '5:2', '6:9'],
  ],
];

for (const [name, text, [prot, page, wieght, keys]] of wrong) {
  test(`every mistake in ${name} is one line with file, line and column, and exit code 2`, async () => {
    write(name, text);
    const { code, out, err } = await check(['--config', name], { MILLRACE_SERVER_PORT: 'x' });
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.deepEqual(err.trim().split('\n').sort(), [
      `millrace: keys must be a list of texts or groups, got a text (hidden) (file ${name}:${keys})`,
      `millrace: server.page must be true or false, got 7 (file ${name}:${page})`,
      'millrace: server.port must be an integer from 0 to 65535, got "x" (environment MILLRACE_SERVER_PORT)',
      `millrace: server.prot is not an option; did you mean server.port? (file ${name}:${prot})`,
      `millrace: upstreams[0].wieght is not an option; did you mean upstreams[0].weight? (file ${name}:${wieght})`,
    ]);
  });
}

test('--json has the same as data, with places as numbers', async () => {
  write('one.yaml', 'server:\n  prot: 1\n');
  const { code, out, err } = await check(['-c', 'one.yaml', '--json']);
  assert.equal(code, 2);
  assert.equal(err, '');
  assert.deepEqual(JSON.parse(out), {
    ok: false,
    problems: [
      {
        path: 'server.prot',
        text: 'server.prot is not an option; did you mean server.port?',
        meant: 'server.port',
        origin: 'file one.yaml:2:3',
        file: 'one.yaml',
        line: 2,
        column: 3,
      },
    ],
    warnings: [],
    options: [],
  });
});

test('--json of a file that does not parse has its place too', async () => {
  write('broken.json', '{"server": {"port": 1,}}');
  const { code, out } = await check(['-c', 'broken.json', '--json']);
  assert.equal(code, 2);
  assert.deepEqual((JSON.parse(out) as { problems: object[] }).problems, [
    {
      path: '',
      text: 'cannot read the configuration broken.json:1:23: there is a comma before }',
      file: 'broken.json',
      line: 1,
      column: 23,
    },
  ]);
});

test('--json of a good configuration has every option with its origin, and no secret', async () => {
  write('good.toml', 'keys = ["top-secret"]\n[server]\nport = 9\n');
  const { code, out } = await check(['-c', 'good.toml', '--json']);
  assert.equal(code, 0);
  const { ok, options } = JSON.parse(out) as { ok: boolean; options: { path: string }[] };
  assert.equal(ok, true);
  const of = (path: string) => options.find((each) => each.path === path);
  assert.deepEqual(of('server.port'), {
    path: 'server.port',
    value: 9,
    secret: false,
    origin: 'file good.toml:3:8',
  });
  assert.deepEqual(of('keys'), { path: 'keys', secret: true, origin: 'file good.toml:1:8' });
  assert.ok(!out.includes('top-secret'));
});

test('a warning is told and is no mistake, but with --strict it is exit code 1', async () => {
  write('key', 'top-secret-key');
  chmodSync(join(folder, 'key'), 0o644);
  write('warn.yaml', 'admin:\n  token: ${file:key}\n');
  const line = `millrace: warning: admin.token names the file ${join(folder, 'key')}, which every user may read; chmod 600 it (file warn.yaml:2:10)\n`;
  const loose = await check(['-c', 'warn.yaml']);
  assert.equal(loose.err, line);
  assert.equal(loose.code, 0);
  const strict = await check(['-c', 'warn.yaml', '--strict']);
  assert.deepEqual(strict, { ...loose, code: 1 });
  const json = JSON.parse((await check(['-c', 'warn.yaml', '--json'])).out) as {
    warnings: object[];
  };
  assert.equal(json.warnings.length, 1);
});
