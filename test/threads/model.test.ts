/** The models in test/model, checked by SPIN: every schedule of the limiter's word and of a ring's bells. Each model also has to find what is broken on purpose. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const models = fileURLToPath(new URL('../../../test/model/', import.meta.url));
const has = (program: string, flag: string) => spawnSync(program, [flag]).status === 0;
const missing =
  has('spin', '-V') && has('cc', '--version')
    ? false
    : 'needs spin (apt-get install spin) and a C compiler';

/** What is defined for a model, and which faults it has to find then. */
const broken: readonly (readonly [model: string, defined: readonly string[], faults: string[]])[] =
  [
    ['gcra', [], ['BROKEN_SWAP', 'BROKEN_READ']],
    ['gcra', ['REFUNDS'], ['BROKEN_REFUND', 'BROKEN_RESET']],
    ['ring', [], ['BROKEN_SLEEP', 'BROKEN_STARVED', 'BROKEN_PUBLISH']],
  ];

/** Errors found in all schedules. `cycles`: those that never end, instead of assertions and ends where somebody still waits. */
function errors(model: string, defines: readonly string[], cycles = false) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-model-'));
  const run = (program: string, args: readonly string[]): string => {
    const done = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
    assert.equal(done.status, 0, `${program} ${args.join(' ')}: ${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  try {
    run('spin', [...defines.map((each) => `-D${each}`), '-a', join(models, `${model}.pml`)]);
    run('cc', ['-O2', cycles ? '-DNP' : '-DSAFETY', '-DNOCLAIM', '-o', 'pan', 'pan.c']);
    const said = run('./pan', [...(cycles ? ['-l'] : []), '-m100000']);
    assert.doesNotMatch(said, /max search depth too small|out of memory/);
    const found = /errors: (\d+)/.exec(said)?.[1];
    assert.ok(found, said);
    return Number(found);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [model, defined, faults] of broken) {
  const name = [model, ...defined].join(' with ');
  test(`${name}: no schedule breaks a promise, and none goes on for ever`, {
    skip: missing,
  }, () => {
    assert.equal(errors(model, defined), 0);
    assert.equal(errors(model, defined, true), 0);
  });

  for (const fault of faults)
    test(`${name}: the model finds ${fault}`, { skip: missing }, () => {
      assert.ok(errors(model, [...defined, fault]) > 0);
    });
}
