import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../../../src/coordinator/board.ts';
import { MillraceError } from '../../../src/errors.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema } from '../../../src/options/schema.ts';
import { Health } from '../../../src/policy/health.ts';

const { upstreams } = schema.parse({
  upstreams: [
    { name: 'one', url: 'http://one.test/v1', weight: 3, maxConnections: 7 },
    { name: 'two', url: 'http://two.test/v1' },
  ],
});

function board() {
  const table = openUpstreamTable(allocateUpstreamTable(2, 2));
  return { table, board: new Board(table, upstreams) };
}

test('a new board: every upstream is present, unknown, and as the options say; readers see a new epoch', () => {
  const { table, board: b } = board();
  const before = table.epoch();
  b.write();
  assert.notEqual(table.epoch(), before);
  const row = (at: number) =>
    (['present', 'health', 'drained', 'weight', 'capacity'] as const).map((word) =>
      table.get(at, UpstreamWord[word]),
    );
  assert.deepEqual(row(0), [1, Health.unknown, 0, 3, 7]);
  assert.deepEqual(row(1), [1, Health.unknown, 0, 1, 50]);
});

test('a second coordinator takes the rows over: running streams, health, drain and cooldown stay', () => {
  const { table, board: first } = board();
  first.write();
  first.probed(0, Health.failed);
  first.drain('two', true);
  table.claim(1, 5);
  table.acquire(1, 1);
  table.set(0, UpstreamWord.cooldownUntil, 1234);
  new Board(table, upstreams).write();
  assert.equal(table.get(0, UpstreamWord.health), Health.failed);
  assert.equal(table.get(1, UpstreamWord.drained), 1);
  assert.equal(table.get(0, UpstreamWord.cooldownUntil), 1234);
  assert.equal(table.inFlight(1), 1);
});

test('draining by hand and back; an unknown name is a typed error that names the known ones', () => {
  const { table, board: b } = board();
  b.write();
  b.drain('two', true);
  assert.equal(table.get(1, UpstreamWord.drained), 1);
  b.drain('two', false);
  assert.equal(table.get(1, UpstreamWord.drained), 0);
  assert.throws(
    () => b.drain('three', true),
    (error) =>
      error instanceof MillraceError &&
      error.code === 'MILLRACE_FIELD_INVALID' &&
      error.message === 'upstream must be one of one, two, got three',
  );
});

test('a dead worker’s rows are zeroed once, by its generation', () => {
  const { table, board: b } = board();
  b.write();
  table.claim(0, 5);
  table.acquire(0, 0);
  table.acquire(0, 0);
  assert.equal(b.reclaim(0, 4), false, 'another generation');
  assert.equal(table.inFlight(0), 2);
  assert.equal(b.reclaim(0, 5), true);
  assert.equal(table.inFlight(0), 0);
  assert.equal(b.reclaim(0, 5), false, 'once');
});
