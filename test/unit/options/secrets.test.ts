/** Goal: secrets are found where they stand, or refused with a reason, and never shown. Method: real files in a temporary folder. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lineOf } from '../../../src/options/complain.ts';
import { inspectOptions, resolveOptions } from '../../../src/options/resolve.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string | Buffer, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

const SECRET = 'sk-in-a-file';
write('key', `${SECRET}\n`);

/** What is said about an admin token written so. */
function said(token: string): { problems: string[]; warnings: string[] } {
  const file = write('c.json', JSON.stringify({ admin: { token } }));
  const { problems, warnings } = inspectOptions({ file, env: { EMPTY: '' } });
  const lines = (all: typeof problems) => all.map((each) => lineOf(each).replaceAll(folder, '.'));
  return { problems: lines(problems), warnings: lines(warnings) };
}

test('${file:PATH} works for every secret, in lists and groups too, from the folder of the configuration', () => {
  mkdirSync(join(folder, 'sub'));
  write('sub/a', 'key-of-a\r\n');
  const file = write(
    'all.yaml',
    [
      'keys: ["${file:key}", "${CLIENT}"]',
      'admin: { token: "${file:./sub/../key}" }',
      'upstreams:',
      '  - { name: a, url: "https://a/v1", apiKey: "${file:sub/a}" }',
      `  - { name: b, url: "https://b/v1", apiKey: "\${file:${join(folder, 'key')}}" }`,
    ].join('\n'),
  );
  const { options, warnings } = resolveOptions({ file, env: { CLIENT: 'from-env' } });
  assert.deepEqual(options.keys, [SECRET, 'from-env']);
  assert.equal(options.admin.token, SECRET);
  assert.deepEqual(
    options.upstreams.map(({ apiKey }) => apiKey),
    ['key-of-a', SECRET],
  );
  assert.deepEqual(warnings, []);
});

test('a secret in the environment may name a file too, from the current folder', () => {
  const { options } = resolveOptions({
    env: { MILLRACE_ADMIN_TOKEN: `\${file:${join(folder, 'key')}}` },
  });
  assert.equal(options.admin.token, SECRET);
});

test('a key file that every user may read is a warning, not a problem', () => {
  write('open', SECRET, 0o644);
  assert.deepEqual(said('${file:open}'), {
    problems: [],
    warnings: [
      'admin.token names the file ./open, which every user may read; chmod 600 it (file ./c.json:1:19)',
    ],
  });
});

test('what cannot be had is a problem with its reason, and never the text', () => {
  write('empty', '\n');
  write('two', `${SECRET}\n${SECRET}\n`);
  write('fits', 'x'.repeat(8192));
  write('large', 'x'.repeat(8193));
  write('binary', Buffer.from([1, 0, 2]));
  write('latin', Buffer.from([0x41, 0xe4, 0x42]));
  const at = '(file ./c.json:1:19)';
  const cases: [token: string, text: string][] = [
    ['${file:none}', 'names the file ./none: there is no such file'],
    ['${file:sub}', 'names the file ./sub: it is a folder'],
    ['${file:}', 'names the file .: no path follows ${file:'],
    ['${file:empty}', 'names the file ./empty: it is empty'],
    ['${file:two}', 'names the file ./two: it holds more than one line, or a control character'],
    ['${file:large}', 'names the file ./large: it has more than 8192 bytes'],
    ['${file:binary}', 'names the file ./binary: it is not a text file (it holds a NUL byte)'],
    ['${file:latin}', 'names the file ./latin: it is not a UTF-8 text file'],
    ['${file:/dev/zero}', 'names the file /dev/zero: it has more than 8192 bytes'],
    ['${EMPTY}', 'names the environment variable EMPTY, which is empty'],
    ['${NOT_SET}', 'names the environment variable NOT_SET, which is not set'],
    ['${two words}', 'must be ${NAME} (letters, digits, _) or ${file:PATH} between its braces'],
    [
      'Bearer ${KEY_OF_A}',
      'holds ${…} within a longer text; the whole text must be ${NAME} or ${file:PATH}',
    ],
    ['$KEY_OF_A', 'looks like a variable of the shell; write ${NAME} with the braces'],
    [`${SECRET}\n`, 'holds a line end or another control character; a secret is one line'],
  ];
  for (const [token, text] of cases) {
    const { problems } = said(token);
    assert.deepEqual(problems, [`admin.token ${text} ${at}`], token);
  }
  assert.deepEqual(said('${file:fits}').problems, []);
});

test('a secret that is merely unusual is taken, with a warning for a space at its end', () => {
  assert.deepEqual(said('pa$$word-{x}'), { problems: [], warnings: [] });
  assert.deepEqual(said('password ').warnings, [
    'admin.token begins or ends with a space, which is a part of the secret (file ./c.json:1:19)',
  ]);
});

test('a reference in a place that is no secret stays as it is, with a warning', () => {
  const { resolved, warnings } = inspectOptions({
    code: { server: { host: '${HOST}' }, keys: ['k'] },
  });
  assert.equal(resolved?.options.server.host, '${HOST}');
  assert.deepEqual(warnings.map(lineOf), [
    'server.host holds ${HOST} as it stands: only secrets are filled in (code)',
  ]);
});
