/** Goal: the limit table holds what it is given, and no more than it has room for. Method: one thread, on shared and on plain words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AtomicsPort } from '../../../src/memory/atomics.ts';
import type { LimitKey, LimitTable } from '../../../src/memory/contract.ts';
import {
  allocateLimitTable,
  openLimitTable,
  openPrivateLimitTable,
  privateLimitWords,
  publishLimitWords,
} from '../../../src/memory/limit-table.ts';

const makers: Record<string, (slots: number, rows: number, logWords?: number) => LimitTable> = {
  shared: (slots, rows, log) => openLimitTable(allocateLimitTable(slots, rows, 7, log)),
  plain: (slots, rows, log) => openPrivateLimitTable(privateLimitWords(slots, rows, 7, log)),
};
const keyOf = (low: number, high = low, rule = 0): LimitKey => ({
  rule,
  high,
  low,
  at: -1,
  tag: 0,
});

for (const [kind, make] of Object.entries(makers)) {
  test(`${kind}: a key is found again where it was put, by another handle too`, () => {
    const table = make(64, 2);
    const key = keyOf(3);
    assert.ok(table.find(key));
    assert.ok(table.compareAndSet(key.at, 0, 99));
    const again = keyOf(3);
    assert.ok(table.find(again));
    assert.equal(again.at, key.at);
    assert.equal(table.load(again.at), 99);
    assert.equal(table.used(), 1);
  });

  test(`${kind}: each limit has a log of its own, the two halves of a row too, and a new key finds it fresh`, () => {
    const table = make(16, 2, 3);
    const rows = [0, 1].flatMap((row) => [table.row(row), table.row(row) + 2]);
    const keys = Array.from({ length: 16 }, (_, high) => keyOf(5, high));
    for (const key of keys) assert.ok(table.find(key));
    const limits = [...rows, ...keys.map(({ at }) => at)];
    const logged = limits.flatMap((at) => [0, 1, 2].map((word) => table.logAt(at) + word));
    assert.equal(
      new Set([...logged, ...limits]).size,
      20 * 3 + 20,
      'nothing lies on anything else',
    );
    for (const at of logged) assert.ok(table.compareAndSet(at, 0, at));
    const full = keys[3];
    assert.equal(
      table.makeRoom(keyOf(5, 16), (_, at) => at === full.at),
      1,
    );
    const next = keyOf(5, 16);
    assert.ok(table.find(next));
    assert.equal(next.at, full.at);
    for (const word of [0, 1, 2]) assert.equal(table.load(table.logAt(next.at) + word), 0);
    assert.equal(table.load(logged[0]), logged[0], 'others keep theirs');
  });

  test(`${kind}: keys that differ in one half of the hash, or in the rule, have words of their own`, () => {
    const table = make(64, 0);
    const keys = [keyOf(3, 1), keyOf(3, 2), keyOf(4, 1), keyOf(3, 1, 1)];
    for (const key of keys) assert.ok(table.find(key));
    assert.equal(new Set(keys.map(({ at }) => at)).size, 4);
  });

  test(`${kind}: sixteen keys fit where they may lie, the seventeenth does not until one of them is idle`, () => {
    const table = make(32, 0);
    const keys = Array.from({ length: 16 }, (_, high) => keyOf(5, high));
    for (const key of keys) assert.ok(table.find(key));
    const last = keyOf(5, 16);
    assert.equal(table.find(last), false);
    assert.equal(table.used(), 16);
    assert.ok(table.compareAndSet(keys[3].at, 0, 1));
    assert.equal(
      table.makeRoom(last, (_, at) => table.load(at) === 1),
      1,
    );
    assert.ok(table.find(last));
    assert.equal(last.at, keys[3].at);
    assert.equal(table.load(last.at), 0, 'fresh words');
    assert.equal(table.holds(keys[3]), false);
    assert.ok(table.holds(keys[4]));
  });

  test(`${kind}: refusals are counted per key, and begin anew with its slot`, () => {
    const table = make(16, 0);
    const key = keyOf(1);
    assert.ok(table.find(key));
    for (let at = 0; at < 3; at++) table.refused(key);
    const seen: number[] = [];
    table.each((_, refusals) => seen.push(refusals));
    assert.deepEqual(seen, [3]);
    assert.equal(
      table.sweep(0, 16, () => true),
      1,
    );
    assert.equal(table.used(), 0);
    assert.ok(table.find(key));
    table.each((_, refusals) => seen.push(refusals));
    assert.deepEqual(seen, [3, 0]);
  });

  test(`${kind}: rows lie on cache lines of their own, away from slots`, () => {
    const table = make(16, 3);
    const key = keyOf(0);
    assert.ok(table.find(key));
    assert.deepEqual(
      [0, 1, 2].map((at) => table.row(at) % 16),
      [0, 0, 0],
    );
    assert.ok(table.row(2) + 16 <= key.at);
    assert.throws(() => table.row(3), /does not exist/);
  });
}

test('the generation of a slot wraps without harm, 5,000 keys in one slot', () => {
  const table = openLimitTable(allocateLimitTable(16, 0, 7));
  for (let high = 0; high < 5_000; high++) {
    const key = keyOf(0, high);
    assert.ok(table.find(key), `key ${high}`);
    assert.ok(table.compareAndSet(key.at, 0, 1));
    assert.equal(
      table.sweep(0, 16, () => true),
      1,
    );
    assert.equal(table.holds(key), false);
  }
});

test('memory that holds no limit table is refused', () => {
  assert.throws(() => openLimitTable(new SharedArrayBuffer(1024)), /no limit table/);
  assert.throws(() => allocateLimitTable(15, 0, 1), /power of two/);
  assert.throws(() => allocateLimitTable(17, 0, 1), /power of two/);
});

test('a table that is published keeps its keys, and what its handles know', () => {
  const words = privateLimitWords(16, 1, 7);
  const table = openPrivateLimitTable(words);
  const key = keyOf(3);
  assert.ok(table.find(key) && table.compareAndSet(key.at, 0, 5));
  const open = openLimitTable(publishLimitWords(words));
  assert.ok(open.holds(key));
  assert.equal(open.load(key.at), 5);
  assert.equal(open.used(), 1);
});

test('a thread stopped anywhere while it brings a key keeps its slot, whatever the others sweep and bring meanwhile', () => {
  for (let stop = 1, reached = true; reached; stop++) {
    const shared = allocateLimitTable(16, 0, 7);
    const others = openLimitTable(shared);
    const [mine, theirs] = [keyOf(3, 1 << 22), keyOf(3, 2 << 22)];
    let operations = 0;
    const meanwhile = () => {
      if (++operations !== stop) return;
      for (let sweep = 0; sweep < 300; sweep++) others.sweep(0, 16, () => false);
      assert.ok(others.find(theirs), 'the other key has a place');
      assert.ok(others.compareAndSet(theirs.at, 0, 2));
    };
    const slow = openLimitTable(shared, 1, stopping(meanwhile));
    assert.ok(slow.find(mine), 'and so has this one');
    assert.ok(slow.compareAndSet(mine.at, 0, 1));
    reached = operations >= stop;
    if (!reached) break;
    assert.ok(others.holds(mine) && others.holds(theirs), `stopped at operation ${stop}`);
    assert.deepEqual([others.load(mine.at), others.load(theirs.at)], [1, 2]);
    assert.equal(others.used(), 2, `slots counted, stopped at operation ${stop}`);
    const seen: number[] = [];
    others.each(({ high }) => seen.push(high >>> 22));
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      [1, 2],
      `keys there, stopped at operation ${stop}`,
    );
  }
});

/** The language's atomics, with something else before each of them. */
function stopping(before: () => void): AtomicsPort {
  const first =
    <A extends unknown[]>(operation: (...all: A) => number) =>
    (...all: A) => {
      before();
      return operation(...all);
    };
  return {
    peek: (words, at) => words[at],
    load: first((words: Int32Array, at) => Atomics.load(words, at)),
    store: first((words: Int32Array, at, n) => Atomics.store(words, at, n)),
    add: first((words: Int32Array, at, n) => Atomics.add(words, at, n)),
    sub: first((words: Int32Array, at, n) => Atomics.sub(words, at, n)),
    exchange: first((words: Int32Array, at, n) => Atomics.exchange(words, at, n)),
    compareExchange: first((words: Int32Array, at, old, n) =>
      Atomics.compareExchange(words, at, old, n),
    ),
  };
}
