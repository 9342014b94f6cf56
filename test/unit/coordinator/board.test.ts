import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../../../src/coordinator/board.ts';
import { MillraceError } from '../../../src/errors.ts';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import { schema } from '../../../src/options/schema.ts';
import { Circuit, CircuitWord, circuitState } from '../../../src/policy/circuit.ts';
import { Health } from '../../../src/policy/health.ts';

const { upstreams, pool } = schema.parse({
  upstreams: [
    { name: 'one', url: 'http://one.test/v1', weight: 3, maxConnections: 7 },
    { name: 'two', url: 'http://two.test/v1' },
  ],
});

const seats = [0, 1].map((row) => ({ row, since: 1 }));

function board() {
  const table = openUpstreamTable(allocateUpstreamTable(2, 2));
  return { table, board: new Board(table) };
}

test('a new board: every upstream is present, unknown, and as the options say; readers see a new epoch', () => {
  const { table, board: b } = board();
  const before = table.epoch();
  b.write({ upstreams, pool }, seats);
  assert.notEqual(table.epoch(), before);
  const row = (at: number) =>
    (['present', 'health', 'drained', 'weight', 'capacity'] as const).map((word) =>
      table.get(at, UpstreamWord[word]),
    );
  assert.deepEqual(row(0), [1, Health.unknown, 0, 3, 5]);
  assert.deepEqual(row(1), [1, Health.unknown, 0, 1, 5]);
});

test('a second coordinator takes the rows over: running streams, health, drain and cooldown stay', () => {
  const { table, board: first } = board();
  first.write({ upstreams, pool }, seats);
  first.probed(0, Health.failed);
  first.drain('two', true);
  table.claim(1, 5);
  table.acquire(1, 1);
  table.set(0, UpstreamWord.cooldownUntil, 1234);
  new Board(table).write({ upstreams, pool }, seats);
  assert.equal(table.get(0, UpstreamWord.health), Health.failed);
  assert.equal(table.get(1, UpstreamWord.drained), 1);
  assert.equal(table.get(0, UpstreamWord.cooldownUntil), 1234);
  assert.equal(table.inFlight(1), 1);
});

test('draining by hand and back; an unknown name is a typed error that names the known ones', () => {
  const { table, board: b } = board();
  b.write({ upstreams, pool }, seats);
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

test('a weight by hand counts over changes and a new coordinator until it is taken back; a new upstream has its own', () => {
  const { table, board: b } = board();
  b.write({ upstreams, pool }, seats);
  const [one, two] = upstreams;
  const weight = () => table.get(0, UpstreamWord.weight);
  const epoch = table.epoch();
  assert.equal(b.weigh('one', 40), 40);
  assert.notEqual(table.epoch(), epoch, 'balancers work out their turns anew');
  b.write({ upstreams: [{ ...one, weight: 9 }, two], pool }, seats);
  assert.equal(weight(), 40);
  const next = new Board(table);
  next.write({ upstreams: [{ ...one, weight: 9 }, two], pool }, seats);
  assert.equal(weight(), 40);
  assert.equal(next.weigh('one', 0), 9);
  assert.equal(weight(), 9);
  next.weigh('one', 40);
  next.write({ upstreams, pool }, [{ row: 0, since: 2 }, seats[1]]);
  assert.equal(weight(), 3, 'the row is another one’s');
  assert.throws(() => b.weigh('three', 1), /one of one, two, got three/);
});

test('changed options: who stays keeps its marks, who left takes no more, a row given on begins anew while streams there count on', () => {
  const table = openUpstreamTable(allocateUpstreamTable(3, 2));
  const b = new Board(table);
  b.write({ upstreams, pool }, seats);
  b.drain('one', true);
  b.probed(1, Health.failed);
  table.claim(0, 5);
  table.acquire(1, 0);
  const [one, two] = upstreams;
  const word = (row: number, name: keyof typeof UpstreamWord) => table.get(row, UpstreamWord[name]);
  b.write({ upstreams: [{ ...one, weight: 9 }], pool }, [seats[0]]);
  assert.deepEqual([word(0, 'present'), word(0, 'weight'), word(0, 'drained')], [1, 9, 1]);
  assert.deepEqual([word(1, 'present'), table.inFlight(1)], [0, 1]);
  assert.throws(() => b.drain('two', true), /one of one, got two/);
  // Back again, as its own successor.
  b.write({ upstreams: [one, two], pool }, [seats[0], { row: 1, since: 3 }]);
  assert.deepEqual([word(1, 'present'), word(1, 'epoch')], [1, 3]);
  assert.equal(word(1, 'health'), Health.unknown, 'nothing is known of it');
  assert.equal(table.inFlight(1), 1);
});

test('circuits stay over changed options, but for another list of models', () => {
  const { table, board: b } = board();
  const [one, two] = upstreams;
  const state = () => circuitState(table.circuit(0, 0));
  b.write({ upstreams: [{ ...one, models: ['a', 'b'] }, two], pool }, seats);
  table.circuit(0, 0).store(CircuitWord.state, Circuit.open);
  b.write({ upstreams: [{ ...one, models: ['a', 'b'], weight: 7 }, two], pool }, seats);
  new Board(table).write({ upstreams: [{ ...one, models: ['a', 'b'] }, two], pool }, seats);
  assert.equal(state(), Circuit.open);
  b.write({ upstreams: [{ ...one, models: ['b', 'a'] }, two], pool }, seats);
  assert.equal(state(), Circuit.closed);
});

test('a row that is given on while its former upstream stood there is another one’s at once', () => {
  const { table, board: b } = board();
  b.write({ upstreams, pool }, seats);
  b.drain('two', true);
  table.set(1, UpstreamWord.cooldownUntil, 7);
  table.circuit(1, 0).store(CircuitWord.state, Circuit.open);
  b.write({ upstreams, pool }, [seats[0], { row: 1, since: 2 }]);
  assert.equal(table.get(1, UpstreamWord.drained), 0);
  assert.equal(table.get(1, UpstreamWord.cooldownUntil), 0);
  assert.equal(circuitState(table.circuit(1, 0)), Circuit.closed);
});

test('places begin at the least, or at the most where they do not follow the load', () => {
  const places = (more: object, options: object = {}) => {
    const { table, board: b } = board();
    const parsed = schema.parse({
      upstreams: [{ name: 'one', url: 'http://one.test/v1', ...more }],
      ...options,
    });
    b.write(parsed, seats.slice(0, 1));
    return [UpstreamWord.capacity, UpstreamWord.capacityMax].map((word) => table.get(0, word));
  };
  assert.deepEqual(places({}), [5, 50]);
  assert.deepEqual(places({ maxConnections: 3 }), [3, 3]);
  assert.deepEqual(places({}, { pool: { enableAutoScaling: false } }), [50, 50]);
});

test('a pool that grew shrinks after a lasting quiet, never below its least or what runs there; a changed configuration leaves it', () => {
  const { table, board: b } = board();
  b.write({ upstreams, pool }, seats);
  table.set(1, UpstreamWord.capacity, 40);
  b.write({ upstreams, pool }, seats);
  assert.equal(table.get(1, UpstreamWord.capacity), 40);
  table.claim(0, 1);
  for (let n = 0; n < 7; n++) table.acquire(1, 0);
  for (let second = 0; second < 60; second++) b.scale(second * 1_000);
  assert.equal(table.get(1, UpstreamWord.capacity), 14, 'the load lies in the middle');
  for (let n = 0; n < 7; n++) table.release(1, 0, true);
  for (let second = 60; second < 200; second++) b.scale(second * 1_000);
  assert.equal(table.get(1, UpstreamWord.capacity), 5);
});
