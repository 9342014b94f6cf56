/** Goal: what README tells a stranger to type works as printed. Method: its code blocks are cut out and run; only ports change. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createEngine } from '../../src/engine/engine.ts';
import { silentLog } from '../../src/observe/log.ts';
import { resolveOptions } from '../../src/options/resolve.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

function block(language: string, holding: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  const found = blocks.filter(([, tag, text]) => tag === language && text.includes(holding));
  assert.equal(found.length, 1, `README has one ${language} block with ${holding}`);
  return found[0][2];
}

interface Ran {
  readonly child: ChildProcess;
  out(): string;
  readonly exited: Promise<number | null>;
}

/** Runs a block inside the package, so that its imports resolve as they do for a user. */
function run(t: TestContext, name: string, code: string): Ran {
  const folder = join(root, 'dist/test/readme');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (part) => (out += String(part)));
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(file, { force: true });
  });
  return { child, out: () => out, exited };
}

test('the client prints a simulated answer and ends', async (t) => {
  const demo = { enabled: true, tokensPerSecond: 2_000, firstTokenMs: 1 };
  const engine = createEngine(
    { server: { port: 0 }, admin: { enabled: false }, demo, threads: { workers: 1 } },
    { log: silentLog },
  );
  const { port } = await engine.listen();
  t.after(() => engine.close());
  const code = block('js', "from 'ws'").replace('127.0.0.1:8080', `127.0.0.1:${port}`);
  const client = run(t, 'client', code);
  assert.equal(await client.exited, 0);
  assert.match(client.out(), /\w+ \w+/);
});

test('the configuration is valid and says what the text around it says', () => {
  const folder = join(root, 'dist/test/readme');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'millrace.yaml');
  writeFileSync(file, block('yaml', 'upstreams:'));
  const env = { CLIENT_KEY: 'one', PRIMARY_KEY: 'two' };
  const { options } = resolveOptions({ file, env });
  assert.deepEqual(options.keys, ['one']);
  assert.equal(options.upstreams[0].apiKey, 'two');
  assert.equal(options.upstreams[1].apiKey, undefined);
});

test('the embedding listens, prints its address, and ends by itself after SIGTERM', async (t) => {
  const embedded = run(t, 'embed', block('js', "from 'millrace'"));
  await until(() => /^ws:\/\/127\.0\.0\.1:\d+$/m.test(embedded.out()), 'the address', 20_000);
  embedded.child.kill('SIGTERM');
  assert.equal(await embedded.exited, 0);
});

test('the part works alone and ends', async (t) => {
  const part = run(t, 'part', block('js', 'new RateLimiter'));
  assert.equal(await part.exited, 0);
  assert.match(part.out(), /^\{[^]*allowed: 1,\s+refused: 0/);
});
