/** `npm run trace`: one request, stage by stage, as somebody reads it who looks for where the time went. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const preload = new URL('../../../scripts/trace-points.mjs', import.meta.url).href;

interface Point {
  readonly atUs: number;
  readonly thread: string;
  readonly stage: string;
  readonly step: string;
  readonly upstream?: string;
  readonly code?: string;
  readonly outcome?: string;
}

/** As the script starts itself; not through its build, which the tests do once. */
function trace(...flags: string[]): string {
  const done = spawnSync(process.execPath, ['--import', preload, 'scripts/trace.mjs', ...flags], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

const points = (...flags: string[]) =>
  trace('--json', ...flags)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Point);

test('a table of at most 100 columns, from the accept to the close', () => {
  const lines = trace().split('\n');
  for (const line of lines) assert.ok(line.length <= 100, line);
  const text = lines.join('\n');
  for (const word of ['session for anonymous', 'ring hop', 'attempt 1 goes to', 'status 200']) {
    assert.ok(text.includes(word), `${word} in\n${text}`);
  }
  assert.match(text, /… \d+ × frame into the ring/);
  assert.match(lines.findLast((line) => line.includes('session:end')) ?? '', /closed with 1000$/);
});

test('each stage happens on its thread, and the first time in the order of a byte’s way', () => {
  const all = points();
  const order = all
    .map(({ stage }) => stage)
    .filter((stage, at, stages) => stages.indexOf(stage) === at);
  assert.deepEqual(order.slice(0, 3), ['accept', 'admit', 'route']);
  assert.deepEqual(order.slice(-2), ['stream:end', 'session:end']);
  const main = ['accept', 'admit', 'deliver', 'stream:end', 'session:end'];
  for (const { stage, thread } of all)
    assert.equal(thread, main.includes(stage) ? 'main' : 'worker', stage);
  for (const [at, { atUs }] of all.entries()) assert.ok(at === 0 || atUs >= all[at - 1].atUs);
});

test('--fault shows the failed attempt and the one that answered', () => {
  const all = points('--fault');
  const picked = all.filter(({ step }) => step === 'picked').map(({ upstream }) => upstream);
  assert.equal(new Set(picked).size, 2);
  const failed = all.filter(({ step }) => step === 'failed');
  assert.deepEqual(
    failed.map(({ upstream, code }) => [upstream, code]),
    [[picked[0], 'MILLRACE_UPSTREAM_STATUS']],
  );
  assert.equal(all.find(({ stage }) => stage === 'stream:end')?.outcome, 'finished');
});
