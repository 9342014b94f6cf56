import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { TimingWheel } from '../../../src/policy/wheel.ts';
import { seeded } from '../../support/seed.ts';

const ascending = (a: number, b: number) => a - b;

function wheel(options: { periodMs?: number; keysMax?: number; buckets?: number } = {}) {
  const fired: [key: number, atMs: number][] = [];
  const state = { nowMs: 0, onFire: (() => {}) as (key: number) => void };
  const made = new TimingWheel({
    periodMs: options.periodMs ?? 5,
    keysMax: options.keysMax ?? 16,
    startMs: 0,
    buckets: options.buckets ?? 8,
    fire: (key) => {
      fired.push([key, state.nowMs]);
      state.onFire(key);
    },
  });
  const tick = (nowMs: number) => {
    state.nowMs = nowMs;
    made.tick(nowMs);
  };
  return { wheel: made, fired, tick, state };
}

describe('a timing wheel', () => {
  test('fires a key once, at the first tick at which its time has passed', () => {
    const { wheel: w, fired, tick } = wheel();
    w.arm(3, 12);
    tick(5);
    tick(10);
    assert.deepEqual(fired, []);
    tick(15);
    tick(20);
    assert.deepEqual(fired, [[3, 15]]);
    assert.equal(w.armed, 0);
  });

  test('a time already passed fires at the next tick', () => {
    const { wheel: w, fired, tick } = wheel();
    tick(100);
    w.arm(0, 50);
    tick(105);
    assert.deepEqual(fired, [[0, 105]]);
  });

  test('a deadline moved to later fires at the later time only, one moved to earlier at the earlier', () => {
    const { wheel: w, fired, tick } = wheel();
    w.arm(0, 10);
    w.arm(0, 30);
    w.arm(1, 30);
    w.arm(1, 10);
    for (let ms = 5; ms <= 60; ms += 5) tick(ms);
    assert.deepEqual(fired, [
      [1, 10],
      [0, 30],
    ]);
  });

  test('a disarmed key does not fire, also when another one of the same tick disarms it', () => {
    const { wheel: w, fired, tick, state } = wheel();
    w.arm(0, 10);
    w.disarm(0);
    w.arm(1, 10);
    w.arm(2, 10);
    state.onFire = (key) => w.disarm(key === 1 ? 2 : 1);
    tick(10);
    tick(50);
    assert.equal(fired.length, 1);
    assert.equal(w.armed, 0);
  });

  test('a key armed again while it fires comes again', () => {
    const { wheel: w, fired, tick, state } = wheel();
    state.onFire = (key) => void (fired.length < 3 && w.arm(key, state.nowMs + 10));
    w.arm(0, 10);
    for (let ms = 5; ms <= 100; ms += 5) tick(ms);
    assert.deepEqual(
      fired.map(([, at]) => at),
      [10, 20, 30],
    );
  });

  test('deadlines beyond the horizon wait for their turn of the wheel', () => {
    const { wheel: w, fired, tick } = wheel({ buckets: 4, periodMs: 5 });
    w.arm(0, 1000);
    for (let ms = 5; ms < 1000; ms += 5) tick(ms);
    assert.deepEqual(fired, []);
    tick(1000);
    assert.deepEqual(fired, [[0, 1000]]);
  });

  test('a loop that stood still for long fires everything that is due, and nothing else', () => {
    const { wheel: w, fired, tick } = wheel({ buckets: 4 });
    w.arm(0, 10);
    w.arm(1, 5000);
    w.arm(2, 9999);
    tick(5000);
    assert.deepEqual(fired.map(([key]) => key).toSorted(ascending), [0, 1]);
    tick(9999);
    tick(10_000);
    assert.equal(fired.length, 3);
  });

  test('keys go up to keysMax − 1 and no further', () => {
    const { wheel: w, fired, tick } = wheel({ keysMax: 200 });
    w.arm(0, 5);
    w.arm(199, 5);
    assert.throws(() => w.arm(200, 5), /wheel key 200 of 200/);
    assert.throws(() => w.arm(-1, 5));
    tick(5);
    assert.deepEqual(fired.map(([key]) => key).toSorted(ascending), [0, 199]);
  });

  test('agrees with a list of due times over random histories: never early, at most one tick late', () => {
    const { seed } = seeded('wheel');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('arm' as const), key: fc.nat(7), in: fc.nat(400) }),
      fc.record({ kind: fc.constant('disarm' as const), key: fc.nat(7) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(120) }),
    );
    const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { wheel: w, fired, tick } = wheel();
      const due = new Map<number, number>();
      let nowMs = 0;
      for (const each of steps) {
        if (each.kind === 'arm') {
          w.arm(each.key, nowMs + each.in);
          due.set(each.key, nowMs + each.in);
        } else if (each.kind === 'disarm') {
          w.disarm(each.key);
          due.delete(each.key);
        } else {
          for (const end = nowMs + each.ms; nowMs < end; ) {
            nowMs += 1;
            if (nowMs % 5 !== 0) continue;
            const before = fired.length;
            tick(nowMs);
            const expected = [...due].filter(([, at]) => at <= nowMs && at > 0).map(([key]) => key);
            // Armed in the past: at the next tick, which is this one.
            const late = [...due].filter(([, at]) => at === 0).map(([key]) => key);
            const got = fired.slice(before).map(([key]) => key);
            assert.deepEqual(got.toSorted(ascending), [...expected, ...late].toSorted(ascending));
            for (const key of got) due.delete(key);
          }
        }
        assert.equal(w.armed, due.size);
      }
    });
    fc.assert(property, { seed, numRuns: 300 });
  });
});

test('the next moment to look at the wheel is never after a deadline, and undefined when nothing was armed', () => {
  const { wheel: made, tick } = wheel({ periodMs: 5, buckets: 8 });
  assert.equal(made.nextMs, undefined);
  made.arm(1, 33);
  made.arm(2, 12);
  assert.equal(made.nextMs, 15);
  tick(15);
  assert.equal(made.nextMs, 35);
  tick(35);
  assert.equal(made.nextMs, undefined);
});
