import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Attempts, RetryBudget } from '../../../src/policy/retry.ts';
import { runs } from '../../support/runs.ts';

const FAR = 1e9;
const attempts = (maxRetries = 3, retryDelayMs = 100) => new Attempts({ maxRetries, retryDelayMs });

describe('attempts of one request', () => {
  test('another upstream is tried at once, each once in a round', () => {
    const tries = attempts();
    assert.deepEqual(tries.next([0, 1, 2], 0, FAR, 0.5), { kind: 'go', among: [0, 1, 2] });
    tries.begin();
    tries.failed(1);
    assert.deepEqual(tries.next([0, 1, 2], 5, FAR, 0.5), { kind: 'go', among: [0, 2] });
    tries.begin();
    tries.failed(0);
    assert.deepEqual(tries.next([0, 1, 2], 6, FAR, 0.5), { kind: 'go', among: [2] });
  });

  test('the same upstream is tried again only after a jittered wait that grows with the round', () => {
    const tries = attempts();
    tries.begin();
    tries.failed(0);
    assert.deepEqual(tries.next([0], 1000, FAR, 0.5), { kind: 'wait', untilMs: 1050 });
    assert.deepEqual(tries.next([0], 1020, FAR, 0.9), { kind: 'wait', untilMs: 1050 });
    assert.deepEqual(tries.next([0], 1050, FAR, 0.9), { kind: 'go', among: [0] });
    tries.begin();
    tries.failed(0);
    assert.deepEqual(tries.next([0], 1050, FAR, 0.5), { kind: 'wait', untilMs: 1150 });
  });

  test('maxRetries attempts after the first, and no more', () => {
    for (const maxRetries of [0, 1, 3]) {
      const tries = attempts(maxRetries, 0);
      let nowMs = 0;
      let made = 0;
      for (let guard = 0; guard < 50; guard += 1) {
        const next = tries.next([0, 1], nowMs, FAR, 0.5);
        if (next.kind === 'give-up') break;
        if (next.kind === 'wait') nowMs = next.untilMs;
        else {
          tries.begin();
          tries.failed(next.among[0]);
          made += 1;
        }
      }
      assert.equal(made, maxRetries + 1);
      assert.deepEqual(tries.next([0, 1], nowMs, FAR, 0.5), { kind: 'give-up', why: 'attempts' });
    }
  });

  test('a Retry-After is a floor under the wait for that upstream alone', () => {
    const tries = attempts();
    tries.begin();
    tries.failed(0, 5000);
    // It rests, so it is not usable: its own time is waited for.
    assert.deepEqual(tries.next([], 100, FAR, 0.5), { kind: 'wait', untilMs: 5000 });
    assert.deepEqual(tries.next([1], 200, FAR, 0.5), { kind: 'go', among: [1] });
  });

  test('after a wait for one upstream, another that rests longer is not asked', () => {
    const tries = attempts();
    tries.begin();
    tries.failed(0, 9000);
    tries.begin();
    tries.failed(1);
    assert.deepEqual(tries.next([1], 100, FAR, 0.5), { kind: 'wait', untilMs: 150 });
    assert.deepEqual(tries.next([0, 1], 150, FAR, 0.5), { kind: 'go', among: [1] });
  });

  test('nothing is waited for beyond the deadline', () => {
    const tries = attempts();
    tries.begin();
    tries.failed(0, 5000);
    assert.deepEqual(tries.next([], 100, 4999, 0.5), { kind: 'give-up', why: 'deadline' });
    assert.deepEqual(tries.next([1], 4999, 4999, 0.5), { kind: 'give-up', why: 'deadline' });
  });

  test('without an upstream at first there is nothing to wait for', () => {
    assert.deepEqual(attempts().next([], 0, FAR, 0.5), { kind: 'give-up', why: 'none' });
  });

  test('an upstream that went away after it failed ends the request', () => {
    const tries = attempts();
    tries.begin();
    tries.failed(0);
    assert.deepEqual(tries.next([], 0, FAR, 0.5), { kind: 'give-up', why: 'none' });
  });
});

describe('the retry budget', () => {
  test('never below its floor, never above the share', () => {
    const budget = new RetryBudget(0.2, 3);
    assert.deepEqual(
      [0, 1, 2, 3].map(() => budget.take(5)),
      [true, true, true, false],
    );
    assert.equal(budget.running, 3);
    assert.equal(budget.take(20), true);
    assert.equal(budget.take(20), false);
    budget.give();
    assert.equal(budget.take(20), true);
  });

  test('a floor and a share of 0 allow none', () => {
    assert.equal(new RetryBudget(0, 0).take(1000), false);
  });

  test('as a model of it: whatever is taken, given and followed, as many run as a count says, and never above both bounds when taken', () => {
    const command = fc.oneof(
      fc.record({ kind: fc.constant('take' as const), streams: fc.nat(200) }),
      fc.record({ kind: fc.constant('give' as const) }),
      fc.record({
        kind: fc.constant('follow' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        floor: fc.nat(10),
      }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        let bounds = { share: 0.2, floor: 3 };
        let running = 0;
        const budget = new RetryBudget(bounds.share, bounds.floor);
        for (const each of commands) {
          if (each.kind === 'follow') {
            bounds = each;
            budget.follow(each.share, each.floor);
          } else if (each.kind === 'give') {
            if (running === 0) continue;
            running -= 1;
            budget.give();
          } else {
            const fits = running < bounds.floor || running + 1 <= bounds.share * each.streams;
            assert.equal(budget.take(each.streams), fits);
            if (fits) running += 1;
          }
          assert.equal(budget.running, running);
        }
      }),
      runs(300, 10_000),
    );
  });
});
