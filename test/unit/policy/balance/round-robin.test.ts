import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoundRobin } from '../../../../src/policy/balance/round-robin.ts';

function loads(start = 0) {
  let cursor = start;
  return { turn: () => cursor++, inFlight: () => 0, weight: () => 1 };
}

test('candidates take turns, whoever asks', () => {
  const shared = loads();
  const picked = Array.from({ length: 6 }, () => RoundRobin.pick([4, 7, 9], shared, 0.5));
  assert.deepEqual(picked, [4, 7, 9, 4, 7, 9]);
});

test('a cursor that overflowed still names a candidate', () => {
  const shared = loads(-2);
  for (let n = 0; n < 6; n += 1) assert.ok([4, 7].includes(RoundRobin.pick([4, 7], shared, 0)));
});
