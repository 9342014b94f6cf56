import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnLag } from '../../../src/worker/own-lag.ts';

/** A loop whose timers come as late as the test says. */
function setUp(lagMsMax = 100) {
  let nowMs = 0;
  let waiting: { dueMs: number; task: () => void } | undefined;
  const told: number[] = [];
  const lag = new OwnLag({
    clock: { now: () => nowMs, wall: () => nowMs },
    ticker: {
      every: () => assert.fail('one timer at a time'),
      soon: () => assert.fail('one timer at a time'),
      after: (ms, task) => {
        assert.equal(waiting, undefined);
        waiting = { dueMs: nowMs + ms, task };
        return () => (waiting = undefined);
      },
    },
    lagMsMax: () => lagMsMax,
    tell: (bound) => void told.push(bound),
  });
  /** The next look, so much too late. False: it sleeps. */
  const look = (lateMs: number) => {
    if (!waiting) return false;
    const { dueMs, task } = waiting;
    waiting = undefined;
    nowMs = dueMs + lateMs;
    task();
    return true;
  };
  return { lag, told, look, sleeps: () => waiting === undefined };
}

test('it sleeps until a turn comes, and again some time after the last one', () => {
  const { lag, look, sleeps } = setUp();
  assert.ok(sleeps());
  assert.equal(lag.turn(), 0);
  let looks = 0;
  while (look(0)) looks += 1;
  assert.ok(looks >= 40 && looks <= 60, `${looks} looks`);
  assert.equal(lag.turn(), 0);
  assert.ok(!sleeps());
  lag.stop();
  assert.ok(sleeps());
});

test('one late turn of the loop is a pause; three in a row refuse new turns, until it was calm for a second', () => {
  const { lag, told, look } = setUp();
  assert.deepEqual(told, [0], 'what a dead predecessor said is taken back');
  lag.turn();
  for (const lateMs of [500, 0, 500, 500, 0]) look(lateMs);
  assert.equal(lag.turn(), 0);
  for (const lateMs of [100, 120, 300]) look(lateMs);
  assert.equal(lag.turn(), 2);
  assert.deepEqual(told, [0, 2]);
  for (let n = 0; n < 9; n += 1) look(0);
  assert.equal(lag.turn(), 2, 'calm, but not for long');
  for (let n = 0; n < 3; n += 1) look(0);
  assert.equal(lag.turn(), 0);
  assert.deepEqual(told, [0, 2, 0]);
});

test('while it refuses it looks on, however long no turn comes', () => {
  const { lag, told, look } = setUp();
  lag.turn();
  for (let n = 0; n < 100; n += 1) assert.ok(look(200));
  assert.deepEqual(told, [0, 2]);
  while (look(0));
  assert.deepEqual(told, [0, 2, 0]);
});
