import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Lanes } from '../../../src/policy/lanes.ts';
import { seeded } from '../../support/seed.ts';

const lanes = (runningMax = 2, queuedMax = 3) => new Lanes<string>({ runningMax, queuedMax });

describe('lanes', () => {
  test('one runs in a lane, the others follow in order', () => {
    const l = lanes();
    assert.equal(l.admit('a', 'a1'), 'run');
    assert.equal(l.admit('a', 'a2'), 'queued');
    assert.equal(l.admit('a', 'a3'), 'queued');
    assert.equal(l.take(), undefined);
    l.done('a');
    assert.equal(l.take(), 'a2');
    assert.equal(l.take(), undefined);
    l.done('a');
    assert.equal(l.take(), 'a3');
  });

  test('at most runningMax run; the next free place goes to the lane that was ready first', () => {
    const l = lanes();
    assert.equal(l.admit('a', 'a1'), 'run');
    assert.equal(l.admit('b', 'b1'), 'run');
    assert.equal(l.admit('c', 'c1'), 'queued');
    assert.equal(l.admit('a', 'a2'), 'queued');
    l.done('a');
    assert.equal(l.take(), 'c1');
    assert.equal(l.take(), undefined);
    l.done('b');
    assert.equal(l.take(), 'a2');
  });

  test('at most queuedMax wait: the one beyond is refused and nothing of it is kept', () => {
    const l = lanes(1, 2);
    assert.equal(l.admit('a', '1'), 'run');
    assert.equal(l.admit('a', '2'), 'queued');
    assert.equal(l.admit('b', '3'), 'queued');
    assert.equal(l.admit('c', '4'), 'full');
    assert.equal(l.queued, 2);
    assert.deepEqual(l.all(), ['1', '2', '3']);
    l.done('a');
    assert.equal(l.take(), '3');
    assert.equal(l.admit('c', '5'), 'queued');
  });

  test('a waiting request can be taken out, a running one cannot', () => {
    const l = lanes(1, 3);
    l.admit('a', '1');
    l.admit('a', '2');
    l.admit('b', '3');
    assert.equal(l.remove('a', '1'), false);
    assert.equal(l.remove('a', '2'), true);
    assert.equal(l.remove('a', '2'), false);
    assert.equal(l.remove('b', '3'), true);
    l.done('a');
    assert.equal(l.take(), undefined);
    assert.equal(l.queued, 0);
  });

  test('what a lane holds comes with the running one first', () => {
    const l = lanes();
    l.admit('a', '1');
    l.admit('a', '2');
    assert.deepEqual(l.on('a'), ['1', '2']);
    assert.deepEqual(l.on('b'), []);
  });

  test('over random histories: FIFO in a lane, one running each, the bounds hold, nobody is forgotten', () => {
    const { seed } = seeded('lanes');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('admit' as const), lane: fc.constantFrom('a', 'b', 'c', 'd') }),
      fc.record({ kind: fc.constant('done' as const), at: fc.nat(3) }),
      fc.record({ kind: fc.constant('remove' as const), at: fc.nat(9) }),
    );
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const l = new Lanes<number>({ runningMax: 2, queuedMax: 5 });
      const laneOf = new Map<number, string>();
      const running = new Set<number>();
      const waiting: number[] = [];
      const begun = new Map<string, number>();
      let next = 0;
      const begin = (item: number) => {
        const lane = laneOf.get(item) ?? '';
        assert.ok(item > (begun.get(lane) ?? -1), 'FIFO in a lane');
        assert.ok(![...running].some((other) => laneOf.get(other) === lane), 'one in a lane');
        begun.set(lane, item);
        running.add(item);
        assert.ok(running.size <= 2);
      };
      for (const each of steps) {
        if (each.kind === 'admit') {
          const item = next++;
          laneOf.set(item, each.lane);
          const verdict = l.admit(each.lane, item);
          if (verdict === 'run') begin(item);
          else if (verdict === 'queued') waiting.push(item);
          else assert.equal(waiting.length, 5);
        } else if (each.kind === 'done') {
          const item = [...running][each.at];
          if (item === undefined) continue;
          running.delete(item);
          l.done(laneOf.get(item) ?? '');
          for (let got = l.take(); got !== undefined; got = l.take()) {
            waiting.splice(waiting.indexOf(got), 1);
            begin(got);
          }
        } else {
          const item = waiting[each.at];
          if (item === undefined) continue;
          assert.equal(l.remove(laneOf.get(item) ?? '', item), true);
          waiting.splice(each.at, 1);
        }
        assert.equal(l.running, running.size);
        assert.equal(l.queued, waiting.length);
        const stuck = waiting.filter(
          (item) => ![...running].some((other) => laneOf.get(other) === laneOf.get(item)),
        );
        assert.ok(running.size === 2 || stuck.length === 0, 'nobody waits for a free lane');
      }
    });
    fc.assert(property, { seed, numRuns: 300 });
  });
});
