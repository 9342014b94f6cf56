import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { allocateSessionCells, openSessionCells } from '../../../src/memory/session-cells.ts';
import { Bug } from '../../../src/must.ts';
import { runs } from '../../support/runs.ts';

test('a slot belongs to the generation that was opened last, and to nobody after close', () => {
  const cells = openSessionCells(allocateSessionCells(2));
  assert.equal(cells.sessionsMax, 2);
  assert.equal(cells.holds(1, 0), false, 'nobody is not a holder');
  cells.open(1, 5, 100);
  assert.ok(cells.holds(1, 5));
  assert.equal(cells.holds(1, 4), false);
  assert.equal(cells.holds(0, 5), false);
  cells.open(1, 2 ** 32 - 1, 100);
  assert.ok(cells.holds(1, 2 ** 32 - 1), 'generations are 32 bits, signed or not');
  assert.equal(cells.holds(1, 5), false);
  cells.close(1);
  assert.equal(cells.holds(1, 2 ** 32 - 1), false);
  for (const slot of [-1, 2]) assert.throws(() => cells.credit(slot), Bug);
  assert.throws(() => cells.open(0, 0, 1), Bug);
  for (const wrong of [-1, 2 ** 30 + 1]) assert.throws(() => cells.open(0, 1, wrong), Bug);
});

test('a table may be empty, but not of a negative or broken size', () => {
  assert.equal(openSessionCells(allocateSessionCells(0)).sessionsMax, 0);
  for (const wrong of [-1, 1.5]) assert.throws(() => allocateSessionCells(wrong), Bug);
});

test('a session may start with no credit, with one byte, and with 2^30', () => {
  const cells = openSessionCells(allocateSessionCells(1));
  for (const credit of [0, 1, 2 ** 30]) {
    cells.open(0, 1, credit);
    assert.equal(cells.credit(0), credit);
    assert.equal(cells.await(0), credit > 0);
  }
});

test('credit is what was opened less what was spent, and may go below zero by a frame', () => {
  const cells = openSessionCells(allocateSessionCells(1));
  cells.open(0, 1, 100);
  assert.equal(cells.credit(0), 100);
  cells.spend(0, 99);
  assert.equal(cells.credit(0), 1);
  cells.spend(0, 50);
  assert.equal(cells.credit(0), -49);
});

test('a slot opened again starts with full credit, and sent keeps running', () => {
  const cells = openSessionCells(allocateSessionCells(1));
  cells.open(0, 1, 10);
  cells.spend(0, 30);
  cells.await(0);
  cells.open(0, 2, 10);
  assert.equal(cells.sent(0), 30);
  assert.equal(cells.credit(0), 10);
  assert.equal(cells.grant(0, 30, 0, 10), false, 'nobody of the new session waits');
});

test('a grant tells once that a worker waits, and only when there is credit', () => {
  const cells = openSessionCells(allocateSessionCells(1));
  cells.open(0, 1, 10);
  cells.spend(0, 10);
  assert.equal(cells.await(0), false);
  assert.equal(cells.grant(0, 0, 0, 10), false, 'still in the ring');
  assert.equal(cells.grant(0, 10, 10, 10), false, 'now in the socket');
  assert.equal(cells.grant(0, 10, 9, 10), true);
  assert.equal(cells.grant(0, 10, 0, 10), false, 'told already');
  assert.equal(cells.credit(0), 10);
  assert.equal(cells.await(0), true, 'there is credit: no need to wait');
  assert.equal(cells.grant(0, 10, 0, 10), false, 'and nobody waits');
});

for (const start of [0, 2 ** 31 - 50, 2 ** 32 - 50]) {
  test(`ring and socket together never hold more than the watermark and a frame, from ${start}`, () => {
    const step = fc.record({ frame: fc.nat(40), take: fc.nat(3), send: fc.nat(60) });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 100 }),
        (steps, watermark) => {
          const shared = allocateSessionCells(1);
          new Int32Array(shared)[1] = start | 0;
          const cells = openSessionCells(shared);
          cells.open(0, 1, watermark);
          const ring: number[] = [];
          let taken = start;
          let buffered = 0;
          for (const { frame, take, send } of steps) {
            const inRing = ring.reduce((sum, one) => sum + one, 0);
            assert.equal(cells.sent(0), (taken + inRing) >>> 0);
            if (cells.credit(0) > 0) {
              assert.ok(cells.credit(0) <= watermark);
              cells.spend(0, frame);
              ring.push(frame);
              assert.ok(inRing + frame + buffered <= watermark + frame);
            }
            for (const one of ring.splice(0, take)) {
              taken = (taken + one) >>> 0;
              buffered += one;
            }
            buffered = Math.max(0, buffered - send);
            cells.grant(0, taken, buffered, watermark);
            const left = ring.reduce((sum, one) => sum + one, 0);
            assert.equal(cells.credit(0), watermark - buffered - left);
          }
        },
      ),
      runs(300, 20_000),
    );
  });
}
