/**
 * The algorithms of limits under every interleaving of threads that share one limit's words: takes at the last permits, refunds beside them, and faults that must be found.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateLimitTable, openLimitTable } from '../../../../src/memory/limit-table.ts';
import type * as gcra from '../../../../src/policy/limit/gcra.ts';
import type * as leakyBucket from '../../../../src/policy/limit/leaky-bucket.ts';
import type { Algorithm } from '../../../../src/policy/limit/limit-words.ts';
import type * as slidingLog from '../../../../src/policy/limit/sliding-log.ts';
import type * as slidingWindow from '../../../../src/policy/limit/sliding-window.ts';
import type { Program, World } from '../../../support/interleavings.ts';
import { prove, type Subject } from '../../../support/prove.ts';

const NOW_MS = 10_000;
const LOG_WORDS = 4;

/** One thread's act: what it takes (or gives back of what was taken before it began), and when. */
interface Act {
  readonly take?: number;
  readonly give?: number;
  readonly atMs?: number;
}

/** All of them on one row; each says how much it got. `before`: taken beforehand, at its time. `exactly`: permits that the acts get together. */
function acts(
  algorithm: Algorithm,
  all: readonly Act[],
  { before = [], exactly }: { before?: readonly Act[]; exactly: readonly number[] },
): Program {
  const shared = allocateLimitTable(16, 1, 7, LOG_WORDS);
  const first = openLimitTable(shared);
  const row = first.row(0);
  for (const { take = 0, atMs = NOW_MS } of before)
    assert.ok(algorithm.take(first, row, take, atMs));
  const got = new Int32Array(new SharedArrayBuffer(4));
  return {
    memory: [new Int32Array(shared), got],
    sides: all.map(({ take, give, atMs = NOW_MS }): Program['sides'][number] => (world) => {
      const table = openLimitTable(shared, 1, world.atomics);
      if (give !== undefined) algorithm.give(table, row, give, atMs);
      if (take === undefined) return;
      world.post(got, 0, algorithm.take(table, row, take, atMs) ? take : 0);
    }),
    atEnd: () => assert.ok(exactly.includes(got[0]), `permits given: ${got[0]}`),
  };
}

const one: Act = { take: 1 };
const window = 1_000;

const log: Subject<typeof slidingLog> = {
  path: 'src/policy/limit/sliding-log.js',
  programs: {
    'three takes of two permits': ({ SlidingLog }) =>
      acts(new SlidingLog(2, 0, window), [one, one, one], { exactly: [2] }),
    'two takes of the one that has left the window': ({ SlidingLog }) =>
      acts(new SlidingLog(2, 0, window), [one, one], {
        before: [
          { take: 1, atMs: NOW_MS - window },
          { take: 1, atMs: NOW_MS - 1 },
        ],
        exactly: [1],
      }),
    'takes by two clocks': ({ SlidingLog }) =>
      acts(new SlidingLog(1, 0, window), [one, { take: 1, atMs: NOW_MS - 5 }], { exactly: [1] }),
    // Whoever wants both may hold one for a moment; then neither gets on, or one of them.
    'a take of both beside a take of one': ({ SlidingLog }) =>
      acts(new SlidingLog(2, 0, window), [{ take: 2 }, one], { exactly: [0, 1, 2] }),
    'a refund beside two takes': ({ SlidingLog }) =>
      acts(new SlidingLog(1, 0, window), [{ give: 1 }, one, one], {
        before: [one],
        exactly: [0, 1],
      }),
  },
  faults: [
    {
      name: 'does not look whether its word was still free',
      program: 'three takes of two permits',
      from: `if (!words.compareAndSet(log + index, before, this.#stamp(nowMs)))
                continue;`,
      to: 'words.compareAndSet(log + index, before, this.#stamp(nowMs));',
      why: /permits given/,
    },
    {
      name: 'keeps what it took of a cost that does not fit',
      program: 'a take of both beside a take of one',
      from: 'if (this.#takeOne(words, at, nowMs))\n                taken',
      to: 'if (this.#takeOne(words, at, nowMs) || true)\n                taken',
      why: /permits given/,
    },
  ],
};

const bucket: Subject<typeof gcra> = {
  path: 'src/policy/limit/gcra.js',
  programs: {
    'three takes of two permits': ({ Gcra }) =>
      acts(new Gcra(10, 2), [one, one, one], { exactly: [2] }),
    'a take of both beside takes of one': ({ Gcra }) =>
      acts(new Gcra(10, 2), [{ take: 2 }, one, one], { exactly: [2] }),
    'takes by two clocks': ({ Gcra }) =>
      acts(new Gcra(10, 1), [one, { take: 1, atMs: NOW_MS - 5 }], { exactly: [1] }),
    'a refund beside two takes': ({ Gcra }) =>
      acts(new Gcra(10, 1), [{ give: 1 }, one, one], { before: [one], exactly: [0, 1] }),
    'a refund beside takes by two clocks': ({ Gcra }) =>
      acts(new Gcra(10, 1), [{ give: 1 }, one, { take: 1, atMs: NOW_MS - 100 }], {
        before: [{ take: 1, atMs: NOW_MS - 100 }, one],
        exactly: [0, 1],
      }),
  },
  faults: [
    {
      name: 'does not look whether its swap went through',
      program: 'three takes of two permits',
      from: `if (words.compareAndSet(at, seen, (now + taken) | 0 || 1))
                    return true;`,
      to: 'words.compareAndSet(at, seen, (now + taken) | 0 || 1);\n                return true;',
      why: /permits given/,
    },
    {
      name: 'begins anew when all was given back',
      program: 'a refund beside takes by two clocks',
      from: '(seen - less) | 0 || -1',
      to: '(seen - less - now) | 0 ? (seen - less) | 0 : 0',
      why: /permits given/,
    },
  ],
};

/** Threads that ask for a turn on one row: which they get. */
function turns({ LeakyBucket }: typeof leakyBucket): Program {
  const shared = allocateLimitTable(16, 1, 7);
  const row = openLimitTable(shared).row(0);
  const waits = new Int32Array(new SharedArrayBuffer(12));
  const side = (at: number) => (world: World) => {
    const table = openLimitTable(shared, 1, world.atomics);
    world.post(waits, at, new LeakyBucket(10, 2).pace(table, row, 1, NOW_MS));
  };
  return {
    memory: [new Int32Array(shared), waits],
    sides: [side(0), side(1), side(2)],
    atEnd: () =>
      assert.deepEqual(
        [...waits].toSorted((a, b) => a - b),
        [-1, 0, 100],
        'turns given',
      ),
  };
}

const pacer: Subject<typeof leakyBucket> = {
  path: 'src/policy/limit/leaky-bucket.js',
  programs: { 'three ask for two turns': turns },
  faults: [
    {
      name: 'looks when its turn is before it takes it',
      program: 'three ask for two turns',
      from: 'const ticks = this.takeTicks(words, at, cost, nowMs);',
      to: 'const was = this.takenTicks(words, at, nowMs), ticks = this.take(words, at, cost, nowMs) ? was : -1;',
      why: /turns given/,
    },
  ],
};

const counters: Subject<typeof slidingWindow> = {
  path: 'src/policy/limit/sliding-window.js',
  programs: {
    'three takes of two permits': ({ SlidingWindow }) =>
      acts(new SlidingWindow(2, 0, window), [one, one, one], { exactly: [2] }),
    // Its error, see there: two threads whose clocks differ by a moment may each have a window of the grid.
    'takes on both sides of a window': ({ SlidingWindow }) =>
      acts(new SlidingWindow(1, 0, window), [one, { take: 1, atMs: NOW_MS - 1 }], {
        exactly: [1, 2],
      }),
  },
  faults: [
    {
      name: 'does not look whether its swap went through',
      program: 'three takes of two permits',
      from: 'return words.compareAndSet(this.#current, this.#seen, (this.#epoch << COUNT_BITS) | count);',
      to: 'words.compareAndSet(this.#current, this.#seen, (this.#epoch << COUNT_BITS) | count);\n        return true;',
      why: /permits given/,
    },
  ],
};

await prove(test, log);
await prove(test, bucket);
await prove(test, counters);
await prove(test, pacer);
