/**
 * The limit table under every interleaving: two that bring one key, a sweep in the middle of a take or of a claim, a thread that dies in the middle of one. And faults that
 * must be found.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LimitKey } from '../../../src/memory/contract.ts';
import type * as limitTable from '../../../src/memory/limit-table.ts';
import { type Program } from '../../support/interleavings.ts';
import { prove, type Subject } from '../../support/prove.ts';
import { trackedAtomics } from '../../support/tracked.ts';

type Table = ReturnType<typeof limitTable.openLimitTable>;

const SLOTS = 16;
/** Two slots for a key: enough for a double, and each look is a step of the search. */
const small = { probes: 2, looksMax: 1 };
/** `high` differs in bits that the tag does not hold. */
const ours = (): LimitKey => ({ rule: 1, high: 5, low: 14, at: -1, tag: 0 });
const alike = (): LimitKey => ({ rule: 1, high: 6, low: 14, at: -1, tag: 0 });
/** And one whose tag differs too. */
const OTHER = 1 << 22;
const other = (): LimitKey => ({ rule: 1, high: OTHER, low: 14, at: -1, tag: 0 });

/** A limit of one request: 0 = free, 1 = taken. What KeyedLimit does with a table. */
function takeOne(table: Table, key: LimitKey): boolean {
  for (let moves = 0; moves < 3; moves++) {
    if (!table.find(key)) return false;
    const taken = table.load(key.at) === 0 && table.compareAndSet(key.at, 0, 1);
    if (table.holds(key)) return taken;
  }
  return false;
}

function places(table: Table, high: number): number {
  let found = 0;
  table.each((key) => {
    if (key.high === high) found++;
  });
  return found;
}

/** Two threads bring new keys at once. */
function newcomers(first: () => LimitKey, second: () => LimitKey) {
  return ({ allocateLimitTable, openLimitTable }: typeof limitTable): Program => {
    const shared = allocateLimitTable(SLOTS, 0, 1);
    // In memory that the search puts back: what a side found in one schedule is not what it finds in the next.
    const got = new Int32Array(new SharedArrayBuffer(4));
    const side =
      (key: () => LimitKey): Program['sides'][number] =>
      (world) => {
        const taken = takeOne(openLimitTable(shared, 1, world.atomics, small), key());
        world.post(got, 0, taken ? 1 : 0);
      };
    return {
      memory: [new Int32Array(shared), got],
      sides: [side(first), side(second)],
      atEnd: () => {
        const table = openLimitTable(shared, 0, trackedAtomics, small);
        const same = first().high === second().high;
        assert.ok(places(table, 5) <= 1, 'one key in two slots');
        assert.ok(got[0] <= (same ? 1 : 2), 'permits given');
        assert.equal(table.used(), places(table, 5) + places(table, 6), 'slots counted');
      },
    };
  };
}

/** A key that is there and idle is taken while others sweep; later somebody takes it once more. */
function swept(takers: number, sweepers: number) {
  return ({ allocateLimitTable, openLimitTable }: typeof limitTable): Program => {
    const shared = allocateLimitTable(SLOTS, 0, 1);
    const before = openLimitTable(shared, 0, trackedAtomics, small);
    const known = ours();
    assert.ok(before.find(known));
    const slot = (known.at - 3 - 16) / 8;
    const got = new Int32Array(new SharedArrayBuffer(4));
    const taker: Program['sides'][number] = (world) => {
      const table = openLimitTable(shared, 1, world.atomics, small);
      world.post(got, 0, takeOne(table, { ...known }) ? 1 : 0);
    };
    const sweeper: Program['sides'][number] = (world) => {
      const table = openLimitTable(shared, 1, world.atomics, small);
      table.sweep(slot, 1, (_, at) => table.load(at) === 0);
    };
    return {
      memory: [new Int32Array(shared), got],
      sides: [
        ...Array.from({ length: takers }, () => taker),
        ...Array.from({ length: sweepers }, () => sweeper),
      ],
      atEnd: () => {
        const table = openLimitTable(shared, 0, trackedAtomics, small);
        const [sum] = got;
        assert.ok(sum <= 1, 'permits given');
        assert.ok(places(table, 5) <= 1, 'one key in two slots');
        assert.equal(table.used(), places(table, 5), 'slots counted');
        const words: number[] = [];
        table.each(({ at }) => words.push(table.load(at)));
        if (sum === 1) assert.deepEqual(words, [1], 'charged');
      },
    };
  };
}

/** One brings a new key, one sweeps all the while, one brings another key for the same slot. */
function sweptClaims({ allocateLimitTable, openLimitTable }: typeof limitTable): Program {
  const shared = allocateLimitTable(SLOTS, 0, 1);
  const bring =
    (key: () => LimitKey): Program['sides'][number] =>
    (world) => {
      openLimitTable(shared, 1, world.atomics, { probes: 1, looksMax: 1 }).find(key());
    };
  return {
    memory: [new Int32Array(shared)],
    sides: [
      bring(ours),
      bring(other),
      (world) => {
        openLimitTable(shared, 1, world.atomics, small).sweep(14, 1, () => false);
      },
    ],
    atEnd: () => {
      const table = openLimitTable(shared, 0, trackedAtomics, small);
      const there = places(table, 5) + places(table, OTHER);
      assert.equal(there, 1, 'keys in a place for one');
      assert.equal(table.used(), there, 'slots counted');
    },
  };
}

/** The thread that brings a new key may die anywhere; later somebody knows that it has, frees what it had begun, and brings the key. */
function deadClaims({ allocateLimitTable, openLimitTable }: typeof limitTable): Program {
  const shared = allocateLimitTable(SLOTS, 0, 1);
  const bells = new Int32Array(new SharedArrayBuffer(8));
  const found = new Int32Array(new SharedArrayBuffer(8));
  const Found = { ofDead: 0, ofLiving: 1 } as const;
  return {
    memory: [new Int32Array(shared), bells, found],
    mortal: { side: 0, words: bells, at: 0 },
    sides: [
      (world) => {
        openLimitTable(shared, 1, world.atomics, small).find(ours());
        world.post(bells, 0);
      },
      (world) => {
        const one = { probes: 1, looksMax: 0 };
        const hasPlace = openLimitTable(shared, 2, world.atomics, one).find(other());
        world.post(found, Found.ofLiving, hasPlace ? 1 : 0);
      },
      (world) => {
        world.wait(bells, 0);
        const table = openLimitTable(shared, 3, world.atomics, small);
        table.disown(1);
        world.post(found, Found.ofDead, table.find(ours()) ? 1 : 0);
      },
    ],
    atEnd: () => {
      const table = openLimitTable(shared, 0, trackedAtomics, small);
      assert.equal(found[Found.ofDead], 1, 'no place for the key of the dead');
      assert.equal(places(table, 5), 1, 'its key');
      // Whoever loses two races for two slots has none.
      assert.equal(places(table, OTHER), found[Found.ofLiving], 'the key of the living');
    },
  };
}

const tables: Subject<typeof limitTable> = {
  path: 'src/memory/limit-table.js',
  programs: {
    'one new key, brought by two': newcomers(ours, ours),
    'two new keys that look alike': newcomers(ours, alike),
    'a take and a sweep': swept(1, 1),
    'a take and two sweeps': swept(1, 2),
    'two claims of one slot and a sweep': sweptClaims,
    'a claimer that dies': deadClaims,
    ...(process.env['SLOW'] ? { 'two takes and a sweep': swept(2, 1) } : {}),
  },
  faults: [
    {
      name: 'frees a claim that has taken its time',
      program: 'two claims of one slot and a sweep',
      from: `if (state === State.free || state === State.claimed)
            return false;`,
      to: `if (state === State.free)
            return false;
        if (state === State.claimed)
            return this.compareAndSet(slot, tag, tag & ~STATE & ~MARK);`,
      why: /keys in a place|slots counted|race/,
    },
    {
      name: 'frees the claims of the living too',
      program: 'a claimer that dies',
      from: 'const isTheirs = (tag & (MARK | STATE)) === ((owner << MARK_SHIFT) | State.claimed);',
      to: 'const isTheirs = (tag & STATE) === State.claimed;',
      why: /key of the living|its key|race/,
    },
    {
      name: 'leaves the claims of the dead',
      program: 'a claimer that dies',
      from: 'if (isTheirs && this.#turn(slot, tag, State.free))',
      to: 'if (false)',
      why: /no place/,
    },
    {
      name: 'opens without looking for its double',
      program: 'one new key, brought by two',
      from: 'if (this.#isElsewhere(key, slot, claimed)) {',
      to: 'if (false) {',
      why: /two slots|permits given/,
    },
    {
      name: 'frees what it found idle before it marked it',
      program: 'a take and a sweep',
      from: 'const next = isIdle(rule, slot + LimitSlotWord.word0) ? State.free : State.open;',
      to: 'const next = State.free;',
      why: /permits given|charged/,
    },
    {
      name: 'lets a sweep go on that it has seen',
      program: 'a take and a sweep',
      from: 'this.compareAndSet(slot, tag, (tag & ~STATE) | State.open);',
      to: 'return true;',
      why: /permits given|charged/,
    },
  ],
};

await prove(test, tables);
