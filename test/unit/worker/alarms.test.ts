import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alarms } from '../../../src/worker/alarms.ts';

/** A clock moved by hand, and the timers that were asked for. */
function rig() {
  let nowMs = 0;
  let wakes = 0;
  const timers = new Set<{ atMs: number; task: () => void }>();
  const alarms = new Alarms(
    { now: () => nowMs, wall: () => nowMs },
    {
      every: () => assert.fail('no timer that runs for ever'),
      soon: () => assert.fail('nothing is due at once'),
      after(ms, task) {
        const timer = { atMs: nowMs + ms, task };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
  );
  const run = (untilMs: number) => {
    for (;;) {
      const [next] = [...timers].toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      nowMs = Math.max(nowMs, next.atMs);
      timers.delete(next);
      wakes += 1;
      next.task();
    }
    nowMs = untilMs;
  };
  return { alarms, run, timers, wakes: () => wakes, now: () => nowMs };
}

test('an alarm rings once, not before its time and at most a period after', () => {
  const { alarms, run, now } = rig();
  const rung: number[] = [];
  alarms.create(() => rung.push(now())).set(123);
  run(122);
  assert.equal(rung.length, 0);
  run(10_000);
  assert.equal(rung.length, 1);
  assert.ok(rung[0] >= 123 && rung[0] <= 128, `${rung[0]}`);
});

test('an earlier alarm moves the timer, and the later one still rings', () => {
  const { alarms, run } = rig();
  const rung: string[] = [];
  alarms.create(() => rung.push('late')).set(9_000);
  alarms.create(() => rung.push('early')).set(50);
  run(60);
  assert.deepEqual(rung, ['early']);
  run(9_010);
  assert.deepEqual(rung, ['early', 'late']);
});

test('deadlines that move with every token wake nobody', () => {
  const { alarms, run, wakes } = rig();
  const streams = Array.from({ length: 200 }, () => alarms.create(() => assert.fail('not due')));
  for (let ms = 0; ms < 10_000; ms += 20) {
    run(ms);
    for (const stream of streams) stream.set(ms + 30_000);
  }
  assert.ok(wakes() <= 10, `${wakes()} wakes in 10 s`);
});

test('an alarm that is off or freed does not ring, and nothing stays planned', () => {
  const { alarms, run, timers } = rig();
  const off = alarms.create(() => assert.fail('it is off'));
  const freed = alarms.create(() => assert.fail('it is freed'));
  off.set(20);
  freed.set(30);
  off.off();
  freed.free();
  run(1_000);
  assert.equal(alarms.armed, 0);
  assert.equal(timers.size, 0);
});

test('an alarm set again from within its own ring rings again', () => {
  const { alarms, run, now } = rig();
  let rings = 0;
  const alarm = alarms.create(() => {
    rings += 1;
    if (rings < 5) alarm.set(now() + 100);
  });
  alarm.set(100);
  run(1_000);
  assert.equal(rings, 5);
});
