import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { Scale } from '../../../src/policy/scale.ts';
import { runs } from '../../support/runs.ts';

const rules = { min: 5, max: 50, up: 0.8, down: 0.2 };
const TICK_MS = 500;

/** Sizes after each tick of a load that is `high` and `low` by turns, `half` ticks each. */
function wave(scale: Scale, high: number, low: number, half: number, periods: number): number[] {
  const sizes: number[] = [];
  for (let tick = 0; tick < 2 * half * periods; tick++) {
    const load = Math.floor(tick / half) % 2 === 0 ? high : low;
    sizes.push(scale.tick(load, 0, tick * TICK_MS, true));
  }
  return sizes;
}

const changes = (sizes: readonly number[]) =>
  sizes.filter((size, at) => at > 0 && size !== sizes[at - 1]).length;

suite('the size of a pool', () => {
  test('grows within two ticks when the load needs it, to where the load lies in the middle', () => {
    const scale = new Scale(rules);
    scale.tick(4, 0, 0, true);
    assert.equal(scale.tick(4, 0, TICK_MS, true), 8);
  });

  test('those who wait count as load', () => {
    const scale = new Scale(rules);
    scale.tick(5, 5, 0, true);
    assert.equal(scale.tick(5, 5, TICK_MS, true), 20);
  });

  test('does not grow while its upstream fails', () => {
    const scale = new Scale(rules);
    for (let tick = 0; tick < 20; tick++) scale.tick(5, 20, tick * TICK_MS, false);
    assert.equal(scale.size, 5);
    assert.ok(scale.tick(5, 20, 20 * TICK_MS, true) > 5, 'and at once when it is well again');
  });

  test('shrinks only after a lasting silence', () => {
    const scale = new Scale(rules, 50);
    const sizes = Array.from({ length: 60 }, (_, tick) =>
      scale.tick(tick < 2 ? 25 : 0, 0, tick * TICK_MS, true),
    );
    assert.ok(
      sizes.slice(0, 10).every((size) => size === 50),
      'not within five seconds',
    );
    assert.ok(sizes[59] < 50);
  });

  test('a square wave between any two loads changes it at most twice a period', () => {
    const some = fc.record({
      high: fc.integer({ min: 0, max: 60 }),
      low: fc.integer({ min: 0, max: 60 }),
      half: fc.integer({ min: 1, max: 60 }),
      up: fc.double({ min: 0.6, max: 0.95, noNaN: true }),
      down: fc.double({ min: 0.05, max: 0.3, noNaN: true }),
    });
    fc.assert(
      fc.property(some, ({ high, low, half, up, down }) => {
        const scale = new Scale({ ...rules, up, down });
        // The first periods find the level; then each may cost two changes.
        wave(scale, high, low, half, 3);
        const settled = new Scale({ ...rules, up, down }, scale.size);
        const sizes = wave(settled, high, low, half, 10);
        assert.ok(changes(sizes) <= 2 * 10, `${changes(sizes)} changes: ${sizes.join(' ')}`);
      }),
      runs(500, 10_000),
    );
  });

  test('a wave right at the upper threshold settles', () => {
    const sizes = wave(new Scale(rules, 10), 8, 7, 4, 50);
    assert.equal(changes(sizes), 1);
  });

  test('never leaves its bounds, and never falls below the load it can carry', () => {
    const loads = fc.array(fc.tuple(fc.nat(80), fc.nat(20), fc.integer({ min: 0, max: 5_000 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(loads, (steps) => {
        const scale = new Scale(rules);
        let nowMs = 0;
        for (const [inUse, waiting, elapsed] of steps) {
          nowMs += elapsed;
          const before = scale.size;
          const size = scale.tick(inUse, waiting, nowMs, true);
          assert.ok(size >= rules.min && size <= rules.max);
          if (size < before) assert.ok(size >= Math.min(rules.max, inUse + waiting));
        }
      }),
      runs(500, 10_000),
    );
  });
});
