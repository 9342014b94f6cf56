/** Goal: the gateway is ready within half a second of its start. Method: from spawn to the listening line, in units of what a bare Node needs at the same moment, so that a busy machine does not decide. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const ROUNDS = 7;
/** A bare Node starts in some 40 ms: half a second. */
const STARTS_MAX = 12.5;

async function bareMs(): Promise<number> {
  const began = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - began;
}

async function readyMs(): Promise<number> {
  const began = performance.now();
  const args = [program, 'serve', '--demo', '--port', '0', '--admin-port', '0'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  let said = '';
  for await (const part of child.stdout) {
    said += String(part);
    if (said.includes('"event":"listening"')) break;
  }
  const ms = performance.now() - began;
  child.kill('SIGKILL');
  await ended;
  assert.match(said, /"event":"listening"/);
  return ms;
}

test('the demo listens within half a second, as fast as Node itself starts here', async (t) => {
  const rounds: { ready: number; ratio: number }[] = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    const bare = await bareMs();
    const ready = await readyMs();
    rounds.push({ ready, ratio: ready / bare });
  }
  const median = (of: 'ready' | 'ratio') =>
    rounds.map((round) => round[of]).sort((a, b) => a - b)[ROUNDS >> 1];
  t.diagnostic(
    `ready after ${median('ready').toFixed(0)} ms, ${median('ratio').toFixed(1)} starts`,
  );
  assert.ok(median('ratio') <= STARTS_MAX, `${median('ratio')} times a bare start`);
});
