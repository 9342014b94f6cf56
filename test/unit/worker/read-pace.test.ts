import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadPace } from '../../../src/worker/read-pace.ts';

/** A loop on a clock that is moved by hand: what it was asked to do soon is done when a turn ends. */
function rig() {
  let nowMs = 100;
  let soon: (() => void)[] = [];
  const rung: number[] = [];
  const slept: number[] = [];
  const pace = new ReadPace({
    bell: { ring: () => void rung.push(nowMs) },
    clock: { now: () => nowMs },
    ticker: { soon: (task) => void soon.push(task) },
    pause(ms) {
      slept.push(ms);
      nowMs += ms;
    },
  });
  /** A turn of the loop with so many reads, each of which takes some time and rings. */
  const turn = (reads: number, readMs = 0.01) => {
    for (let n = 0; n < reads; n += 1) {
      pace.read();
      nowMs += readMs;
      pace.ring();
    }
    const tasks = soon;
    soon = [];
    for (const task of tasks) task();
    return tasks.length;
  };
  return { pace, rung, slept, turn, later: (ms: number) => (nowMs += ms), now: () => nowMs };
}

test('a turn of the loop rings once, when all its reads are done', () => {
  const { rung, turn } = rig();
  assert.equal(turn(5), 1);
  assert.equal(rung.length, 1);
  assert.ok(Math.abs(rung[0] - 100.05) < 1e-6);
  turn(0);
  assert.equal(rung.length, 1);
});

test('a bell without a read is rung too, and makes nobody sleep', () => {
  const { pace, rung, slept, turn } = rig();
  for (let n = 0; n < 100; n += 1) {
    pace.ring();
    pace.ring();
    turn(0);
  }
  assert.equal(rung.length, 100);
  assert.deepEqual(slept, []);
});

test('reads that come thinner than two a gap are never made to wait', () => {
  for (const everyMs of [0.6, 1, 5, 50]) {
    const { slept, turn, later } = rig();
    for (let n = 0; n < 200; n += 1) {
      turn(1);
      later(everyMs);
    }
    assert.deepEqual(slept, [], `one read every ${everyMs} ms`);
  }
});

test('a short burst makes nobody wait', () => {
  const { slept, turn, later } = rig();
  turn(50);
  later(20);
  turn(1);
  assert.deepEqual(slept, []);
});

test('thick reads: turns begin a gap apart, and the thread sleeps for what the turn left of it', () => {
  const { slept, turn, now } = rig();
  // Ten reads a millisecond, from sockets that fill while the thread sleeps.
  let from = now();
  for (let n = 0; n < 100; n += 1) {
    const began = now();
    turn(Math.max(1, Math.round((began - from) * 10)));
    from = began;
  }
  assert.ok(slept.length > 80, `${slept.length} turns slept`);
  for (const ms of slept) assert.ok(ms > 0 && ms <= 1, `slept ${ms} ms`);
  const before = now();
  for (let n = 0; n < 10; n += 1) turn(10);
  assert.ok(Math.abs(now() - before - 10) < 0.2, `10 turns took ${now() - before} ms`);
});

test('a thread that has work for the whole gap does not sleep', () => {
  const { slept, turn } = rig();
  for (let n = 0; n < 100; n += 1) turn(120);
  assert.deepEqual(slept, []);
});

test('after the rush the first thin reads are soon at once again', () => {
  const { slept, turn, later } = rig();
  for (let n = 0; n < 100; n += 1) turn(20);
  assert.ok(slept.length > 50);
  slept.length = 0;
  for (let n = 0; n < 50; n += 1) {
    later(20);
    turn(1);
  }
  assert.ok(slept.length <= 3, `${slept.length} thin reads were followed by a sleep`);
});
