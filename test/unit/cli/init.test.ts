/** Goal: init makes a file that works, and destroys none. Method: the real program in a temporary folder. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { millrace } from '../../support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-init-'));
after(() => rmSync(folder, { recursive: true }));
const init = (...args: string[]) => millrace(['init', ...args], {}, folder);

for (const file of ['millrace.yaml', 'a.yml', 'b.toml', 'c.json']) {
  test(`init ${file} writes a file that passes check-config and names its schema`, async () => {
    const { code, err } = await init(file);
    assert.equal(code, 0, err);
    assert.match(err, /^millrace: wrote .*; next: millrace check-config --config /);
    const text = readFileSync(join(folder, file), 'utf8');
    assert.match(
      text.split('\n').slice(0, 2).join('\n'),
      /schema"?[=: ]+"?\.\/millrace\.schema\.json/,
    );
    const checked = await millrace(['check-config', '--strict', '--config', file], {}, folder);
    assert.equal(checked.code, 0, checked.err);
  });
}

test('a file that is there is left alone with exit code 1, unless --force is said', async () => {
  const file = join(folder, 'mine.yaml');
  writeFileSync(file, 'mine');
  const { code, err } = await init('mine.yaml');
  assert.equal(
    err,
    'millrace: cannot write the configuration mine.yaml: it is there already; --force writes over it\n',
  );
  assert.equal(code, 1);
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  assert.equal((await init('mine.yaml', '--force')).code, 0);
  assert.match(readFileSync(file, 'utf8'), /^# yaml-language-server/);
});

test('a folder that is not there is told', async () => {
  const { code, err } = await init('none/a.yaml');
  assert.deepEqual(
    [code, err],
    [1, 'millrace: cannot write the configuration none/a.yaml: there is no such folder\n'],
  );
});

test('- is standard output, in the format asked for', async () => {
  const { code, out, err } = await init('-', '--format', 'json');
  assert.deepEqual([code, err], [0, '']);
  assert.equal((JSON.parse(out) as { $schema: string }).$schema, './millrace.schema.json');
  assert.ok(!existsSync(join(folder, '-')));
});

test('beside an installed package the schema is the one of the package', async () => {
  const root = resolve(fileURLToPath(new URL('../../../..', import.meta.url)));
  mkdirSync(join(folder, 'app/node_modules'), { recursive: true });
  mkdirSync(join(folder, 'app/etc'));
  symlinkSync(root, join(folder, 'app/node_modules/millrace'));
  const { code, err } = await init('app/etc/m.yaml');
  assert.equal(code, 0, err);
  const [line] = readFileSync(join(folder, 'app/etc/m.yaml'), 'utf8').split('\n');
  const schema = '../node_modules/millrace/docs/millrace.schema.json';
  assert.equal(line, `# yaml-language-server: $schema=${schema}`);
  assert.ok(existsSync(join(folder, 'app/etc', schema)));
});

test('config-schema prints the schema that the package holds', async () => {
  const { code, out } = await millrace(['config-schema']);
  assert.equal(code, 0);
  const held = new URL('../../../../docs/millrace.schema.json', import.meta.url);
  assert.equal(out, readFileSync(held, 'utf8'));
});
