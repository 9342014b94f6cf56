/** Goal: what docs/GUIDE.md tells a reader to write works as printed. Method: every block runs as a program, unchanged. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const guide = readFileSync(join(root, 'docs/GUIDE.md'), 'utf8');
const blocks = [...guide.matchAll(/^## (.*)$|^```js\n([\s\S]*?)^```/gm)];

/** What a block prints, by a part of its code. */
const prints: readonly (readonly [part: string, out: RegExp])[] = [
  ['engine.listen()', /^ws:\/\/127\.0\.0\.1:\d+ \{ ready: true, reason: 'serving' \}\n$/],
  ['prot: 8080', /^MILLRACE_OPTION_INVALID .*server\.port/],
  ["'/mine'", /^Echo: hello\n1012 \{ address: '127\.0\.0\.1', messages: 1 \}\n$/],
  ["'/loop'", /^Echo: hello\n$/],
  ['engine.attach', /^$/],
  ['new Registry', /^true text\/plain.*\ntrue\n$/],
  ['new ConnectionPool', /^closed\ntrue, 2 of 50\nclosed\nclosed\n$/],
  ['new LoadBalancer', /^a a b a c a a\n$/],
  ['new RateLimiter', /^true\ntrue\ntrue\nfalse\nworker: false true\n$/],
  [
    'new LlmStreamer',
    /^This is a long LLM r\nesponse that will be\n streamed… 👩🏽‍🔧👨‍👩‍👧‍👦\n3\n0\n$/,
  ],
  ['new CompressionManager', /^brotli 2900 identity\n1 true\n$/],
  ['simulatedUpstream', /^finished\nMILLRACE_UPSTREAM_RESET\n$/],
];

function run(name: string, code: string): Promise<{ exit: number | null; out: string }> {
  const folder = join(root, 'dist/test/guide');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (part) => (out += String(part)));
  return new Promise((resolve) => {
    child.on('close', (exit) => {
      rmSync(file, { force: true });
      resolve({ exit, out });
    });
  });
}

const codes = blocks.map(([, , code]) => code).filter((code) => code !== undefined);

test('every block of the guide is expected to print something', () => {
  assert.equal(codes.length, prints.length);
});

for (const [index, [part, expected]] of prints.entries())
  test(`the guide's block with ${part} prints what it should and ends`, async () => {
    const code = codes.find((each) => each.includes(part));
    assert.ok(code !== undefined, part);
    const { exit, out } = await run(`block-${index}`, code);
    assert.equal(exit, 0);
    assert.match(out, expected);
  });
