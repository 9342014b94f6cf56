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
      [0, 1, 2, 3].map(() => budget.take(5, 0)),
      [true, true, true, false],
    );
    assert.equal(budget.running, 3);
    assert.equal(budget.take(20, 0), true);
    assert.equal(budget.take(20, 0), false);
    budget.give();
    assert.equal(budget.take(20, 0), true);
  });

  test('a floor and a share of 0 allow none', () => {
    assert.equal(new RetryBudget(0, 0).take(1000, 0), false);
  });

  test('retries that end at once are bounded too: over ten seconds as many as the share of the attempts begun, or the floor a second', () => {
    const budget = new RetryBudget(0.2, 3);
    const retry = (nowMs: number) => {
      const taken = budget.take(1_000, nowMs);
      if (taken) budget.give();
      return taken;
    };
    const count = (nowMs: number) => {
      let taken = 0;
      while (retry(nowMs)) taken++;
      return taken;
    };
    assert.equal(count(0), 30, 'the floor');
    for (let n = 0; n < 400; n++) budget.began(5_000);
    assert.equal(count(5_000), 50, 'a fifth of 400, less what was taken before');
    assert.equal(count(9_999), 0);
    assert.equal(count(10_000), 30, 'ten seconds after the first ones');
    assert.equal(count(14_999), 0);
    assert.equal(
      count(15_000),
      0,
      'what was begun in the sixth second is forgotten with what was taken there',
    );
    assert.equal(count(20_000), 30);
    assert.equal(count(1e9), 30);
  });

  test('a place that came to nothing counts nowhere', () => {
    const budget = new RetryBudget(0, 1);
    for (let n = 0; n < 100; n++) {
      assert.ok(budget.take(0, 0));
      budget.undo(0);
    }
    assert.equal(budget.running, 0);
  });

  test('as a model of it: whatever is taken, given, undone and followed, as many run as a count says, and a retry is refused just when one of the four bounds says so', () => {
    const command = fc.oneof(
      fc.record({ kind: fc.constant('take' as const), streams: fc.nat(200) }),
      fc.record({ kind: fc.constant('began' as const), n: fc.nat(40) }),
      fc.record({ kind: fc.constantFrom('give' as const, 'undo' as const) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(4_000) }),
      fc.record({
        kind: fc.constant('follow' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        floor: fc.nat(4),
      }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        let bounds = { share: 0.2, floor: 3 };
        let running = 0;
        let nowMs = 1_790_000_000_123;
        let begun: number[] = [];
        let taken: number[] = [];
        const budget = new RetryBudget(bounds.share, bounds.floor);
        const second = (ms: number) => Math.floor(ms / 1_000);
        const recent = (times: number[]) =>
          times.filter((ms) => second(nowMs) - second(ms) < 10).length;
        for (const each of commands) {
          if (each.kind === 'follow') {
            bounds = each;
            budget.follow(each.share, each.floor);
          } else if (each.kind === 'pass') nowMs += each.ms;
          else if (each.kind === 'began') {
            for (let n = 0; n < each.n; n++) budget.began(nowMs);
            begun = begun.concat(Array.from({ length: each.n }, () => nowMs));
          } else if (each.kind === 'take') {
            const { share, floor } = bounds;
            const mayRun = running < floor || running + 1 <= share * each.streams;
            const mayBegin =
              recent(taken) < 10 * floor || recent(taken) + 1 <= share * recent(begun);
            assert.equal(budget.take(each.streams, nowMs), mayRun && mayBegin);
            if (!mayRun || !mayBegin) continue;
            running += 1;
            taken.push(nowMs);
          } else if (running > 0) {
            running -= 1;
            if (each.kind === 'give') budget.give();
            else {
              budget.undo(nowMs);
              const at = taken.findLastIndex((ms) => second(ms) === second(nowMs));
              taken = taken.filter((_, index) => index !== at);
            }
          }
          assert.equal(budget.running, running);
        }
      }),
      runs(300, 10_000),
    );
  });
});
