/** Budgets and the book under them in every interleaving: a thread that ends at any step of its answer, or is given up for dead while it goes on. And faults that must be found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateLimitTable, openLimitTable } from '../../../../src/memory/limit-table.ts';
import {
  allocateReservationBook,
  openReservationBook,
} from '../../../../src/memory/reservation-book.ts';
import { WordClaim } from '../../../../src/policy/limit/claim.ts';
import { MinuteBudget } from '../../../../src/policy/limit/minute-budget.ts';
import type * as reservations from '../../../../src/policy/limit/reservation.ts';
import { RunningCount } from '../../../../src/policy/limit/running-count.ts';
import { entriesOf } from '../../../../src/worker/budgets.ts';
import type { Program } from '../../../support/interleavings.ts';
import { prove, type Subject } from '../../../support/prove.ts';

const GENERATION = 3;
const NOW_MS = 1_000;
/** Set aside of a budget, what comes of it, and what the upstream says it was. */
const RESERVED = 10;
const OTHERS = 5;
const SPENT = 4;
const REPORTED = 6;
const ways = { shadow: false, paced: false };

/** One answer on one thread, and main, which takes that thread for dead. */
function answer(kind: 'output_tokens' | 'streams', dies: boolean, others = OTHERS) {
  return ({ Reservation, budgetKinds }: typeof reservations): Program => {
    const limits = allocateLimitTable(16, 1, 7);
    const entries = allocateReservationBook(1, 1);
    const said = new Int32Array(new SharedArrayBuffer(8));
    const At = { ended: 0, spent: 1 } as const;
    const algorithm = kind === 'streams' ? new RunningCount(9) : new MinuteBudget(100);
    const row = openLimitTable(limits).row(0);
    algorithm.take(openLimitTable(limits), row, others, NOW_MS);
    const taken = () =>
      algorithm.capacity - algorithm.remaining(openLimitTable(limits), row, NOW_MS) - others;
    return {
      memory: [new Int32Array(limits), new Int32Array(entries), said],
      ...(dies ? { mortal: { side: 0, words: said, at: At.ended } } : {}),
      sides: [
        (world) => {
          const table = openLimitTable(limits, 1, world.atomics);
          const book = openReservationBook(entries, world.atomics, 1);
          const got = Reservation.take(
            {
              claims: [new WordClaim(kind, ways, algorithm, table, row)],
              book: entriesOf(book, 0, GENERATION),
              told: () => {},
              weights: { cached: 1, reasoning: 1 },
              now: () => NOW_MS,
              wall: () => NOW_MS,
            },
            { input: 0, output: RESERVED },
          );
          if ('reservation' in got) {
            got.reservation.spend(SPENT);
            world.post(said, At.spent, SPENT);
            got.reservation.settle({ inputTokens: 0, outputTokens: REPORTED });
          }
          world.post(said, At.ended);
        },
        (world) => {
          if (dies) world.wait(said, At.ended);
          const table = openLimitTable(limits, 2, world.atomics);
          openReservationBook(entries, world.atomics, 1).reclaim(
            0,
            GENERATION,
            (at, _, number, amount) => {
              assert.equal(budgetKinds[number], kind, 'an entry half written');
              algorithm.give(table, at, amount, NOW_MS);
            },
          );
        },
      ],
      atEnd: () => {
        const now = taken();
        if (kind === 'streams') {
          assert.ok(now <= 0, `${now}: a place is lost`);
          assert.ok(now >= -1, `${now}: given back too often`);
        } else if (dies) {
          const used = said[At.spent];
          assert.ok(now >= used, `${now} taken, ${used} used: given back twice`);
          assert.ok(now <= RESERVED, `${now} taken: more than was set aside`);
        } else {
          // Settled, or given back by main as it stood when that looked, or lost until time brings it back; what is said then, nobody hears.
          assert.ok(
            [0, SPENT, REPORTED, RESERVED].includes(now),
            `${now} taken: not given back once`,
          );
        }
      },
    };
  };
}

const subject: Subject<typeof reservations> = {
  path: 'src/policy/limit/reservation.js',
  programs: {
    'tokens of a thread that ends anywhere': answer('output_tokens', true),
    'tokens of a thread that is given up and goes on': answer('output_tokens', false),
    'a place of a thread that ends anywhere': answer('streams', true),
    'a place of a thread that is given up and goes on': answer('streams', false),
    'the only place, of a thread that is given up and goes on': answer('streams', false, 0),
  },
  faults: [
    {
      name: 'gives back before its entry is freed',
      program: 'tokens of a thread that ends anywhere',
      from: `if (!book.close(entry))
            return;
        if (held > actual)
            claim.give(held - actual, nowMs);`,
      to: `if (held > actual)
            claim.give(held - actual, nowMs);
        book.close(entry);
        if (held > actual) { }`,
      why: /given back twice/,
    },
    {
      name: 'frees a place before it is given back',
      program: 'a place of a thread that ends anywhere',
      from: `if (book.holds(entry))
                claim.give(held, nowMs);
            book.close(entry);`,
      to: `if (book.close(entry)) claim.give(held, nowMs);`,
      why: /a place is lost/,
    },
    {
      name: 'counts a place before it is noted',
      program: 'a place of a thread that ends anywhere',
      from: `const at = kind === 'streams' ? cost : 0;`,
      to: 'const at = 0;',
      why: /a place is lost/,
    },
    {
      name: 'keeps what it took when it was given up',
      program: 'the only place, of a thread that is given up and goes on',
      from: 'else if (!book.holds(entry)) {',
      to: 'else if (entry < 0) {',
      why: /a place is lost/,
    },
    {
      name: 'settles what main has given back',
      program: 'tokens of a thread that is given up and goes on',
      from: `if (!book.close(entry))
            return;`,
      to: 'book.close(entry);',
      why: /not given back once/,
    },
    {
      name: 'does not note what was used',
      program: 'tokens of a thread that ends anywhere',
      from: 'this.#parts.book.left(entry, Math.max(0, held - used));',
      to: '',
      why: /given back twice/,
    },
  ],
};

await prove(test, subject);
