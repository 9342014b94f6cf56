/**
 * What a frame becomes when the kernel takes it in pieces, or only its header: the case in which old cores of uWebSockets.js lose payloads, and which
 * loopback almost never shows. The suites run again in a process whose writes are cut short.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = mkdtempSync(join(tmpdir(), 'short-writes-'));
const library = join(folder, 'short-writes.so');
after(() => rmSync(folder, { recursive: true }));

/** Compiles the library; otherwise says why not. */
function missing(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  // dist/test/conformance → test/support
  const source = fileURLToPath(new URL('../../../test/support/short-writes.c', import.meta.url));
  const built = spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl']);
  return built.status === 0 ? false : `needs a C compiler: ${String(built.error ?? built.stderr)}`;
}

interface Run {
  readonly code: number | null;
  readonly output: string;
}

function run(file: string, pattern: string): Promise<Run> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const env: NodeJS.ProcessEnv = { ...process.env, LD_PRELOAD: library };
  delete env['NODE_TEST_CONTEXT']; // the child reports in text, for us
  const child = spawn(process.execPath, [`--test-name-pattern=${pattern}`, path], { env });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, output }));
  });
}

const suites = [
  [
    '../unit/main/backend/contract.test.js',
    'owns nothing|keeps the order|16 MiB|20 MB|buffered before|streams an answer',
  ],
  ['./rfc6455.test.js', 'framing|fragments|ping and pong|many frames'],
] as const;

describe('writes that the kernel cuts short', { skip: missing() }, () => {
  for (const [file, pattern] of suites)
    it(`lose, repeat and reorder nothing: ${file}`, async () => {
      const { code, output } = await run(file, pattern);
      assert.equal(code, 0, output.slice(-4_000));
      const cut = Number(/short writes: (\d+)/.exec(output)?.[1] ?? 0);
      assert.ok(cut > 50, `only ${cut} writes were cut short`);
    });
});
