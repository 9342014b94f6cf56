import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopLag } from '../../../src/policy/loop-lag.ts';

test('the worst lateness of the last ticks, and no lateness for ticks in time or early', () => {
  const lag = new LoopLag(100, 0);
  assert.equal(lag.tick(100), 0);
  assert.equal(lag.tick(250), 50);
  assert.equal(lag.tick(300), 50, 'an early tick takes nothing away');
  assert.equal(lag.tick(430), 50);
  let nowMs = 430;
  for (let n = 0; n < 12; n += 1) assert.equal(lag.tick((nowMs += 100)), 50);
  assert.equal(lag.tick((nowMs += 100)), 30, 'the fifty are fifteen ticks ago');
});
