import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filled, type Kept, section } from '../../../bench/support/document.ts';
import { judge } from '../../../bench/support/verdict.ts';

const result: Kept = {
  name: 'echo',
  title: 'Echo',
  seconds: 12,
  readings: [{ what: 'ws', unit: 'µs', values: [9, 10, 14] }],
  goals: [
    judge({
      what: 'ours / ws',
      sense: 'at most',
      limit: 0.7,
      unit: 'x',
      values: [0.6, 0.6, 0.6, 0.61, 0.62],
    }),
  ],
  notes: ['a quiet machine'],
  at: '2026-01-02T03:04:05.678Z',
  command: 'npm run bench -- echo',
  commit: 'abc1234',
  machine: '2 x Some Processor',
  node: 'v20.20.2',
  placed: 'not pinned',
  loadAverage: 0,
};

test('a section names command, commit and machine, and says figure, goal and verdict', () => {
  const text = section(result);
  assert.match(text, /`npm run bench -- echo` at abc1234, 2026-01-02 03:04 UTC, Node v20\.20\.2/);
  assert.match(text, /\| ours \/ ws \| 0\.600 x \| ≤ 0\.700 x \| reached \|/);
  assert.match(text, /\| ws \| 10\.0 µs \| 9\.00 … 14\.0 \|/);
  assert.match(text, /^- a quiet machine$/m);
});

test('only what lies between the marks is replaced, and a second time gives the same', () => {
  const before = 'top\n<!-- figures -->\nold\n<!-- /figures -->\nend\n';
  const once = filled(before, [result]);
  assert.ok(once.startsWith('top\n<!-- figures -->\n\n### Echo\n'));
  assert.ok(once.endsWith('\n<!-- /figures -->\nend\n'));
  assert.ok(!once.includes('old'));
  assert.equal(filled(once, [result]), once);
});

test('sections of other benches stay where they are', () => {
  const other = { ...result, title: 'Other', notes: ['new'] };
  const both = filled('<!-- figures -->\n<!-- /figures -->\n', [
    { ...other, notes: ['old'] },
    result,
  ]);
  const again = filled(both, [other]);
  assert.equal(again, both.replace('- old', '- new'));
  assert.deepEqual(
    [...again.matchAll(/^### (.*)$/gm)].map(([, title]) => title),
    ['Other', 'Echo'],
  );
});

test('a document without marks is refused', () => {
  assert.throws(() => filled('nothing here', [result]), /lacks/);
});
