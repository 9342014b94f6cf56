/** Goal: refusal begins at the bound, does not flap, and a single late turn is no overload. Method: values and times by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverloadJudge, overloadError } from '../../../src/policy/overload.ts';

const bounds = { share: 0.9, lagMs: 100 };

test('memory: met at the bound, left only after a second well below it', () => {
  const judge = new OverloadJudge();
  const at = (share: number, nowMs: number) => judge.decide(share, bounds, nowMs);
  assert.equal(at(0.89, 0), 0);
  assert.equal(at(0.9, 10), 1);
  assert.equal(at(0.85, 20), 1, 'below the bound is not well below');
  assert.equal(at(0.7, 30), 1);
  assert.equal(at(0.7, 1_029), 1);
  assert.equal(at(0.8, 1_029.5), 1, 'calm is interrupted');
  assert.equal(at(0.71, 1_040), 1);
  assert.equal(at(0.71, 2_040), 0);
});

test('loop lag: the least of three counts, and rest forgets them', () => {
  const judge = new OverloadJudge();
  const late = (...lags: number[]) => {
    for (const ms of lags) judge.late(ms);
    return judge.decide(0, bounds, 0);
  };
  assert.equal(late(500, 500), 0, 'too few to say');
  assert.equal(late(5), 0);
  assert.equal(late(500, 500), 0, 'one of three was in time');
  assert.equal(late(100), 2);
  judge.rested();
  assert.equal(judge.lagMs, 0);
  judge.decide(0, bounds, 0);
  assert.equal(judge.decide(0, bounds, 1_000), 0);
});

test('the error names the bound and says when to come back', () => {
  assert.equal(overloadError(0), undefined);
  const error = overloadError(1);
  assert.equal(error?.code, 'MILLRACE_OVERLOADED');
  assert.deepEqual(error.details, { bound: 'memory.refuseAboveShare', waitMs: 1_000 });
  assert.match(overloadError(2)?.message ?? '', /server\.loopLagMsMax/);
});
