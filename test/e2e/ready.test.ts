/** Goal: the gateway is ready within half a second of its start. Method: from spawn to the listening line, allowed more where a bare Node needs longer at the same moment, so that a busy machine does not decide. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const ROUNDS = 7;
/** The goal is half a second on a quiet machine; half as much again fails, where a bare Node starts in so long, or sooner (newer ones do). */
const READY_MS_MAX = 750;
const BARE_MS = 40;

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

test('the demo listens in little more than half a second', async (t) => {
  const rounds: { ready: number; allowed: number }[] = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    const bare = await bareMs();
    const ready = await readyMs();
    rounds.push({ ready, allowed: READY_MS_MAX * Math.max(1, bare / BARE_MS) });
  }
  const shares = rounds.map(({ ready, allowed }) => ready / allowed).sort((a, b) => a - b);
  const [share, said] = [shares[ROUNDS >> 1], rounds.map(({ ready }) => ready.toFixed(0))];
  t.diagnostic(`ready after ${said.join(', ')} ms: ${share.toFixed(2)} of what is allowed`);
  assert.ok(share <= 1, `${share} of what is allowed: ${said.join(', ')} ms`);
});
