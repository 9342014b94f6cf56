import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Health, ProbeVerdict } from '../../../src/policy/health.ts';

const run = (verdict: ProbeVerdict, probes: string) =>
  probes.split('').map((probe) => (verdict.probed(probe === '+') ? verdict.health : '.'));

test('an upstream falls after `fall` failed probes in a row and rises after `rise` good ones', () => {
  const verdict = new ProbeVerdict({ fall: 3, rise: 2 }, Health.good);
  assert.deepEqual(run(verdict, '--+---'), ['.', '.', '.', '.', '.', Health.failed]);
  assert.deepEqual(run(verdict, '+-++'), ['.', '.', '.', Health.good]);
});

test('an unknown upstream is good after one probe, and falls like any other', () => {
  assert.deepEqual(run(new ProbeVerdict({ fall: 3, rise: 2 }), '+'), [Health.good]);
  assert.deepEqual(run(new ProbeVerdict({ fall: 2, rise: 2 }), '--'), ['.', Health.failed]);
});

test('with 1 and 1 every probe decides', () => {
  const verdict = new ProbeVerdict({ fall: 1, rise: 1 });
  assert.deepEqual(run(verdict, '-+-'), [Health.failed, Health.good, Health.failed]);
});
