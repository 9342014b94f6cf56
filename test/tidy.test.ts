/** Goal: the tree keeps its rules, and the rules can fail. Method: every file is judged; each rule is fed a bad sample. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCode } from './support/code-text.ts';
import { judge } from './support/tidy-rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const skipped = new Set([
  'node_modules',
  'dist',
  'target',
  '.venv',
  '.git',
  '.everywhere',
  'recordings',
  'results',
  'bin',
]);

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : filesIn(path);
    return /\.(ts|mjs|md|html|json|yaml|yml)$/.test(entry.name) ? [path] : [];
  });
}

const files = filesIn('.').filter((path) => !path.endsWith('package-lock.json'));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

test('every file keeps the rules', () => {
  assert.ok(
    files.filter((path) => path.startsWith('src/')).length > 50,
    'the walk found the sources',
  );
  const wrong = files.flatMap((path) => judge(path, read(path)));
  assert.equal(wrong.length, 0, `\n${wrong.join('\n')}\n`);
});

test('documents name only files that exist', () => {
  const named =
    /(?:^|[`(\s/])((?:src|test|bench|scripts|docs|examples)\/[\w./-]+\.(?:ts|mjs|md|html))/gm;
  const wrong = files
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) =>
      [...read(path).matchAll(named)]
        .map(([, file]) => file)
        .filter((file) => !existsSync(join(root, file)))
        .map((file) => `${path} names ${file}, which does not exist`),
    );
  assert.deepEqual(wrong, []);
});

// Not as one word: this file is judged too.
const timer = 'setTimeout';

/** Bad samples: a file and a part of the sentence that must come. */
const samples: readonly [path: string, text: string, complaint: RegExp][] = [
  ['src/worker/a.ts', "import { b } from '../main/b.ts';", /worker may not import main/],
  ['src/main/a.ts', "import { b } from '../worker/b.ts';", /main may not import worker/],
  ['src/main/backend/a.ts', "import { b } from '../../coordinator/b.ts';", /may not import coord/],
  ['src/main/a.ts', "import type { B } from '../worker/b.ts';", /main may not import worker/],
  ['src/main/a.ts', "export { b } from '../worker/b.ts';", /main may not import worker/],
  ['src/main/a.ts', "const b = await import('../worker/b.ts');", /main may not import worker/],
  ['src/main/a.ts', "import {\n  type B,\n  c,\n} from '../worker/b.ts';", /main may not import/],
  ['src/main/a.ts', "import { b } from '../codec/choice.ts';", /main never compresses/],
  ['src/errors.ts', "import { must } from './must.ts';", /may import nothing/],
  ['src/policy/a.ts', "import { b } from '../options/b.ts';", /policy may not import options/],
  ['src/protocol/a.ts', "import { b } from '../policy/b.ts';", /protocol may not import policy/],
  ['src/nowhere/a.ts', "import { b } from '../must.ts';", /no known layer/],
  ['src/main/a.ts', "import { b } from '../../test/b.ts';", /nothing from outside/],
  ['src/main/a.ts', "import { b } from './b.js';", /ending \.ts/],
  ['src/worker/a.ts', "import { schema } from '../options/schema.ts';", /loads zod/],
  ['src/worker/a.ts', "import { request } from 'undici';", /undici is loaded only in/],
  ['src/main/a.ts', "import ws from 'ws';", /ws is loaded only in/],
  ['src/main/a.ts', "import { Worker } from 'node:worker_threads';", /only in threads\//],
  ['src/main/a.ts', "import lodash from 'lodash';", /no door yet/],
  ['src/main/a.ts', "import 'node:vm';", /no door yet/],
  ['src/protocol/a.ts', "import { readFileSync } from 'node:fs';", /is pure and loads nothing/],
  ['src/main/a.ts', 'Atomics.add(a, 0, 1);', /Atomics: shared memory/],
  ['src/main/a.ts', 'const b = new SharedArrayBuffer(1);', /SharedArrayBuffer: shared memory/],
  ['src/main/a.ts', 'port.postMessage(1);', /through src\/threads\/port\.ts/],
  ['src/protocol/a.ts', 'const t = Date.now();', /Date\.now: protocol\/ and policy\/ are pure/],
  ['src/policy/a.ts', 'const t = performance.now();', /are pure/],
  ['src/policy/limit/a.ts', 'const t = Math.random();', /are pure/],
  ['src/protocol/a.ts', 'if (process.env.X) {}', /are pure/],
  ['src/policy/a.ts', 'setTimeout(f, 1);', /Ticker or Wheel/],
  ['src/main/a.ts', 'export default 1;', /name what you export/],
  ['src/memory/a.ts', '/** A ring. */\nexport const a = 1;', /who writes/],
  ['src/memory/a.ts', 'export const a = 1;', /who writes/],
  ['src/main/a.ts', '\n'.repeat(401), /401 lines/],
  ['src/main/fooBar.ts', '', /kebab-case/],
  ['src/main/foo_bar.ts', '', /kebab-case/],
  ['src/main/utils.ts', '', /gathers strangers/],
  ['test/support/helpers.ts', '', /gathers strangers/],
  ['src/main/index.ts', '', /no barrels/],
  ['src/main/a.ts', '// TODO later', /TODO is a promise/],
  ['scripts/a.mjs', '/* FIXME */', /FIXME is a promise/],
  ['test/unit/a.test.ts', "import 'node:test';\ntest.skip('x', f);", /test\.skip hides/],
  ['test/unit/a.test.ts', "import 'node:test';\nit.only('x', f);", /it\.only hides/],
  ['test/unit/a.test.ts', "import 'node:test';\nt.todo('x');", /t\.todo hides/],
  ['test/unit/a.test.ts', "import 'vitest';", /tests use node:test/],
  [
    'test/unit/a.test.ts',
    `import 'node:test';\nawait new Promise((r) => ${timer}(r, 5));`,
    /a sleep is too short/,
  ],
  [
    'test/unit/a.test.ts',
    "import 'node:test';\nimport { setTimeout } from 'node:timers/promises';",
    /a sleep is too short/,
  ],
  ['docs/A.md', 'see /home/somebody/x', /a path of one machine/],
  ['README.md', 'as issue #12 says', /only its tracker knows/],
  ['src/main/a.ts', '// https://registry.npmjs.org/ws', /the host of a registry/],
];

for (const [path, text, complaint] of samples) {
  test(`${path} with ${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    const wrong = judge(path, text);
    assert.match(wrong.join('\n'), complaint);
    assert.equal(wrong.length, 1, wrong.join('\n'));
  });
}

test('what only looks like a breach is left alone', () => {
  const fine: [string, string][] = [
    ['src/main/a.ts', '// Atomics are not used here\nconst a = "SharedArrayBuffer";'],
    ['src/protocol/a.ts', 'const processed = 1; // process\nconst b = `${a} Date.now()`;'],
    ['src/policy/a.ts', "import type { Options } from '../options/schema.ts';"],
    ['src/policy/a.ts', "import { type Options } from '../options/schema.ts';"],
    ['src/worker/a.ts', "import type { X } from 'undici';"],
    ['src/memory/a.ts', '/** Who writes: main. */\nexport const a = 1;'],
    ['src/worker/entry.ts', 'export default 1;'],
    ['src/main/a.ts', '\n'.repeat(400)],
    ['test/unit/a.test.ts', "import 'node:test';\nconst skip = a.skip;"],
  ];
  for (const [path, text] of fine) assert.deepEqual(judge(path, text), [], path);
});

test('texts, templates, comments and regular expressions are told apart from code', () => {
  const { code, comments } = readCode(
    [
      'a = \'x // no\' + "y"; // one',
      'b = /["\'`/]\\// /* two */;',
      'c = `t ${d + `u ${e}`} // no`;',
      'f = g / h; i = "\\"" + j;',
    ].join('\n'),
  );
  assert.deepEqual(comments, ['// one', '/* two */']);
  assert.equal(code.replaceAll(/ +/g, ' '), 'a = + ; \nb = ;\nc = ;\nf = g / h; i = + j;');
});
