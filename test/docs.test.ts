/** Goal: documents lead nowhere wrong: links and anchors exist, code parses, configurations are valid. Method: every Markdown file of the tree; each rule is fed a bad sample. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { inspectOptions } from '../src/options/resolve.ts';
import { schema } from '../src/options/schema.ts';
import { linksIn, slugsIn, snippetsIn } from './support/markdown.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const skipped = new Set([
  'node_modules',
  'dist',
  '.git',
  '.everywhere',
  '.venv',
  'recordings',
  'results',
]);
const scratch = mkdtempSync(join(tmpdir(), 'millrace-docs-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

function documents(folder = '.'): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const files = documents();

/** What is wrong with a relative link; undefined: nothing. */
function brokenLink(from: string, text: string, target: string): string | undefined {
  const [path, anchor] = target.split('#');
  const file = path === '' ? from : posix.normalize(posix.join(posix.dirname(from), path));
  if (!existsSync(join(root, file))) return `${from}: ${target}: there is no ${file}`;
  if (anchor === undefined || anchor === '' || !file.endsWith('.md')) return undefined;
  const known = slugsIn(file === from ? text : read(file));
  return known.has(anchor) ? undefined : `${from}: ${target}: ${file} has no such heading`;
}

/** What is wrong with a piece of code; undefined: nothing, or nothing we can tell. */
function brokenCode(language: string, code: string): string | undefined {
  const said = (program: string, ...args: string[]) => {
    const done = spawnSync(program, args, { input: code, encoding: 'utf8', cwd: root });
    return done.status === 0 ? undefined : done.stderr || done.stdout || String(done.error);
  };
  switch (language) {
    case 'sh':
    case 'bash':
      return said('bash', '-n');
    case 'js':
    case 'ts':
    case 'json':
    case 'mjs':
      return said('node_modules/.bin/biome', 'format', `--stdin-file-path=a.${language}`);
    case 'yaml':
      return parseDocument(code).errors[0]?.message ?? brokenOptions(code);
    default:
      return undefined;
  }
}

/** A snippet whose every top key is one of ours is a configuration, and must be one that would be taken. */
function brokenOptions(code: string): string | undefined {
  const keys = Object.keys((parseDocument(code).toJS() as object | null) ?? {});
  if (keys.length === 0 || !keys.every((key) => key in schema.shape)) return undefined;
  const file = join(scratch, 'a.yaml');
  writeFileSync(file, code);
  const names = [...code.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, `value-of-${name}`]);
  const { problems } = inspectOptions({ file, env: Object.fromEntries(names) as never });
  const wrong = problems.filter(({ text }) => !/no such file|ENOENT/.test(text));
  return wrong.length === 0 ? undefined : wrong.map(({ path, text }) => `${path} ${text}`).join();
}

test('every relative link of every document leads to a file, and to a heading it has', () => {
  assert.ok(files.includes('README.md') && files.length > 8);
  const wrong = files.flatMap((file) => {
    const text = read(file);
    return linksIn(text).flatMap((target) => brokenLink(file, text, target) ?? []);
  });
  assert.deepEqual(wrong, []);
});

for (const file of files) {
  const snippets = snippetsIn(read(file));
  if (snippets.length === 0) continue;
  test(`the code in ${file} parses, and its configurations are valid`, () => {
    const wrong = snippets.flatMap(({ language, code, line }) => {
      const broken = brokenCode(language, code);
      return broken === undefined ? [] : [`${file}:${line}: ${broken}`];
    });
    assert.equal(wrong.length, 0, wrong.join('\n'));
  });
}

test('what is broken is noticed', () => {
  assert.match(brokenLink('docs/A.md', '', 'NO.md') ?? '', /no docs\/NO\.md/);
  assert.match(brokenLink('docs/A.md', '', '../README.md#nowhere') ?? '', /no such heading/);
  assert.match(brokenLink('README.md', '# One\n', '#two') ?? '', /no such heading/);
  assert.equal(brokenLink('README.md', '# One two\n', '#one-two'), undefined);
  assert.ok(brokenCode('js', 'const = 1;'));
  assert.ok(brokenCode('ts', 'let a: = 1;'));
  assert.ok(brokenCode('json', '{'));
  assert.ok(brokenCode('sh', 'if then'));
  assert.ok(brokenCode('yaml', 'a: [1'));
  assert.match(brokenCode('yaml', 'server:\n  prot: 1\n') ?? '', /prot/);
  assert.equal(brokenCode('yaml', 'server:\n  port: 1\n'), undefined);
  assert.equal(brokenCode('yaml', 'apiVersion: v1\nserver: 1\n'), undefined);
});
