import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pacedBell } from '../../../src/worker/paced-bell.ts';

/** A bell with the moments it rang, on a clock that is moved by hand. */
function rig() {
  let nowMs = 100;
  const due: { atMs: number; task: () => void }[] = [];
  const rung: number[] = [];
  const bell = pacedBell(
    { ring: () => void rung.push(nowMs) },
    { now: () => nowMs },
    {
      after(ms, task) {
        due.push({ atMs: nowMs + ms, task });
        return () => {};
      },
    },
  );
  const to = (ms: number) => {
    nowMs = ms;
    for (const timer of due.splice(0)) {
      if (timer.atMs <= ms) timer.task();
      else due.push(timer);
    }
  };
  return { bell, rung, to, timers: () => due.length };
}

test('the first bell goes at once, and so does one after a pause', () => {
  const { bell, rung, to, timers } = rig();
  bell.ring();
  to(101);
  bell.ring();
  assert.deepEqual(rung, [100, 101]);
  assert.equal(timers(), 0);
});

test('bells within the gap become one', () => {
  const { bell, rung, to, timers } = rig();
  bell.ring();
  bell.ring();
  bell.ring();
  bell.ring();
  assert.deepEqual(rung, [100]);
  assert.equal(timers(), 1);
  to(101);
  assert.deepEqual(rung, [100, 101]);
});

test('the late bell is rung by its timer, and the next gap counts from it', () => {
  const { bell, rung, to } = rig();
  bell.ring();
  bell.ring();
  to(101);
  assert.deepEqual(rung, [100, 101]);
  bell.ring();
  assert.deepEqual(rung, [100, 101]);
  to(102);
  assert.deepEqual(rung, [100, 101, 102]);
});

test('a bell is never lost: whatever the order, a ring is followed by a bell within the gap', () => {
  const { bell, rung, to } = rig();
  for (let at = 100; at < 120; at += 0.3) {
    to(at);
    bell.ring();
    const asked = at;
    to(at + 1);
    const last = rung.at(-1) ?? 0;
    assert.ok(last >= asked, `asked at ${asked}, last bell at ${last}`);
    at += 0.7;
  }
});
