import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { Waiters } from '../../../src/policy/waiters.ts';
import { runs } from '../../support/runs.ts';

suite('those who wait', () => {
  test('go in the order in which they came, as far as there is room', () => {
    const waiters = new Waiters();
    const went: number[] = [];
    let room = 2;
    for (const n of [1, 2, 3, 4]) {
      waiters.join('m', () => {
        if (room === 0) return false;
        room -= 1;
        went.push(n);
        return true;
      });
    }
    waiters.wake();
    assert.deepEqual(went, [1, 2]);
    room = 5;
    waiters.wake();
    assert.deepEqual([went, waiters.count, waiters.ahead('m')], [[1, 2, 3, 4], 0, false]);
  });

  test('a model without room does not hold up another', () => {
    const waiters = new Waiters();
    const went: string[] = [];
    waiters.join('full', () => false);
    waiters.join('free', () => went.push('free') > 0);
    waiters.wake();
    assert.deepEqual([went, waiters.ahead('full'), waiters.ahead('free')], [['free'], true, false]);
  });

  test('who left is not asked', () => {
    const waiters = new Waiters();
    const leave = waiters.join('m', () => assert.fail('it left'));
    leave();
    leave();
    waiters.wake();
    assert.deepEqual([waiters.count, waiters.ahead('m')], [0, false]);
  });

  test('whatever joins, leaves and finds room: for each model first come is first served', () => {
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('join', 'leave', 'wake'),
        model: fc.constantFrom('a', 'b', 'c'),
        room: fc.nat(3),
        which: fc.nat(9),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const waiters = new Waiters();
        const rooms = new Map<string, number>();
        const model: { name: string; n: number; leave: () => void }[] = [];
        const went: { name: string; n: number }[] = [];
        let count = 0;
        for (const { what, model: name, room, which } of all) {
          if (what === 'join') {
            const n = count++;
            const entry = { name, n, leave: () => {} };
            entry.leave = waiters.join(name, () => {
              const left = rooms.get(name) ?? 0;
              if (left === 0) return false;
              rooms.set(name, left - 1);
              went.push({ name, n });
              model.splice(model.indexOf(entry), 1);
              return true;
            });
            model.push(entry);
          } else if (what === 'leave' && model.length > 0) {
            const [gone] = model.splice(which % model.length, 1);
            gone.leave();
          } else if (what === 'wake') {
            rooms.set(name, room);
            const due = model.filter((each) => each.name === name).slice(0, room);
            const before = went.length;
            waiters.wake();
            assert.deepEqual(
              went.slice(before).filter((each) => each.name === name),
              due.map(({ n }) => ({ name, n })),
            );
          }
          assert.equal(waiters.count, model.length);
        }
      }),
      runs(300, 10_000),
    );
  });
});
