import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('the driver runs a bench, prints a verdict for every goal and keeps the figures', {
  skip: process.env['SLOW'] ? false : 'SLOW is not set',
}, () => {
  const run = spawnSync(process.execPath, ['scripts/bench.mjs', 'null', '--quick'], {
    cwd: root,
    encoding: 'utf8',
  });
  // Two short rounds prove nothing, so the only honest answer is "inconclusive".
  assert.equal(run.status, 3, run.stderr);
  assert.match(run.stdout, /INCONCLUSIVE +null test, 1 outstanding/);
  const kept = JSON.parse(readFileSync(`${root}bench/results/quick-null.json`, 'utf8')) as {
    node: string;
    command: string;
    goals: { values: number[]; verdict: string }[];
  };
  assert.equal(kept.node, process.version);
  assert.equal(kept.command, 'npm run bench -- null');
  assert.equal(kept.goals.length, 2);
  for (const goal of kept.goals) assert.equal(goal.values.length, 2);
});

test('an unknown bench is refused with the names of the known ones', {
  skip: process.env['SLOW'] ? false : 'SLOW is not set',
}, () => {
  const run = spawnSync(process.execPath, ['scripts/bench.mjs', 'nonsense'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(run.status, 2);
  assert.match(run.stderr, /no bench nonsense; there are: null echo/);
});
