import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wheel } from '../../../src/simulate/wheel.ts';
import { seeded } from '../../support/seed.ts';
import { until } from '../../support/until.ts';

test('tasks run at their time or after it and never early', async () => {
  const wheel = new Wheel();
  const { next } = seeded('wheel');
  const ran: { dueMs: number; atMs: number }[] = [];
  const beginMs = wheel.now();
  // Past, soon, and further ahead than one turn of the wheel (1,024 ms).
  const dues = [-50, 0, 1200, 1025, ...Array.from({ length: 500 }, () => next() * 1100)];
  for (const offset of dues) {
    const dueMs = beginMs + offset;
    wheel.at(dueMs, { run: () => void ran.push({ dueMs, atMs: performance.now() }) });
  }
  assert.equal(wheel.waiting, dues.length);
  await until(() => wheel.waiting === 0, 'all tasks ran');
  assert.equal(ran.length, dues.length);
  for (const { dueMs, atMs } of ran) assert.ok(atMs >= dueMs, `early by ${dueMs - atMs} ms`);
  const late = ran.map(({ dueMs, atMs }) => atMs - Math.max(dueMs, beginMs)).sort((a, b) => a - b);
  assert.ok((late[late.length >> 1] ?? 99) < 20, `median lateness ${late[late.length >> 1]} ms`);
});

test('a task taken back does not run, not even by one in the same slot', async () => {
  const wheel = new Wheel();
  const ran: string[] = [];
  const dueMs = wheel.now() + 5;
  wheel.at(dueMs, {
    run: () => {
      ran.push('first');
      cancel();
      cancel();
      wheel.at(0, { run: () => void ran.push('added while running') });
    },
  });
  const cancel = wheel.at(dueMs, { run: () => void ran.push('taken back') });
  await until(() => wheel.waiting === 0, 'all tasks ran');
  assert.deepEqual(ran, ['first', 'added while running']);
});

test('a time that is none is a bug, and a stopped wheel runs nothing', () => {
  const wheel = new Wheel();
  assert.throws(() => wheel.at(Number.NaN, { run() {} }), { name: 'Bug' });
  wheel.at(wheel.now() + 1, { run: () => assert.fail('stopped') });
  wheel.stop();
  assert.equal(wheel.waiting, 0);
});
