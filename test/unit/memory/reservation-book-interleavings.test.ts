/** The reservation book under every interleaving: a worker that settles while main takes it for dead, and one that dies anywhere. And faults that must be found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as reservationBook from '../../../src/memory/reservation-book.ts';
import type { Program } from '../../support/interleavings.ts';
import { prove, type Subject } from '../../support/prove.ts';
import { trackedAtomics } from '../../support/tracked.ts';

const ENTRIES = 2;
const HELD = 5;

/** What was given back, of each of the owner's two entries. */
function programOf(dies: boolean) {
  return ({ allocateReservationBook, openReservationBook }: typeof reservationBook): Program => {
    const shared = allocateReservationBook(1, ENTRIES);
    const given = new Int32Array(new SharedArrayBuffer(16));
    const At = { total: 0, ended: 1, taken: 2 } as const;
    return {
      memory: [new Int32Array(shared), given],
      ...(dies ? { mortal: { side: 0, words: given, at: At.ended } } : {}),
      sides: [
        (world) => {
          const book = openReservationBook(shared, world.atomics, ENTRIES);
          const entry = book.open(0, 3, 40, 7, 1, HELD);
          world.atomics.add(given, At.taken, 1);
          if (book.close(entry, 3)) world.post(given, At.total, HELD);
          world.post(given, At.ended);
        },
        (world) => {
          if (dies) world.wait(given, At.ended);
          openReservationBook(shared, world.atomics, ENTRIES).reclaim(
            0,
            3,
            (at, tag, kind, amount) => {
              assert.deepEqual([at, tag, kind, amount], [40, 7, 1, HELD], 'an entry half written');
              world.post(given, At.total, amount);
            },
          );
        },
      ],
      atEnd: () => {
        assert.ok(given[At.total] <= HELD, 'given back twice');
        const book = openReservationBook(shared, trackedAtomics, ENTRIES);
        if (dies) assert.equal(book.held(0), 0, 'entries of the dead');
        else assert.equal(given[At.total], HELD, 'given back once');
      },
    };
  };
}

/** Two lives of one worker in one row: the former comes back and settles, the next begins. */
function twoLives({
  allocateReservationBook,
  openReservationBook,
}: typeof reservationBook): Program {
  const shared = allocateReservationBook(1, 1);
  const before = openReservationBook(shared, trackedAtomics, 1);
  const old = before.open(0, 3, 40, 7, 1, HELD);
  const given = new Int32Array(new SharedArrayBuffer(8));
  return {
    memory: [new Int32Array(shared), given],
    sides: [
      (world) => {
        if (openReservationBook(shared, world.atomics, 1).close(old, 3)) world.post(given, 0, HELD);
      },
      (world) => {
        const book = openReservationBook(shared, world.atomics, 1);
        book.reclaim(0, 3, (_, __, ___, amount) => world.post(given, 0, amount));
        const entry = book.open(0, 4, 50, 0, 1, 1);
        world.post(given, 1, entry >= 0 ? 1 : 0);
      },
    ],
    atEnd: () => {
      assert.equal(given[0], HELD, 'given back once');
      const book = openReservationBook(shared, trackedAtomics, 1);
      assert.equal(book.held(0), given[1], 'the entry of the next life');
    },
  };
}

const books: Subject<typeof reservationBook> = {
  path: 'src/memory/reservation-book.js',
  programs: {
    'one settles while main takes it for dead': programOf(false),
    'one dies': programOf(true),
    'two lives in one row': twoLives,
  },
  faults: [
    {
      name: 'gives back without winning the entry',
      program: 'one settles while main takes it for dead',
      from: `if (!this.#swap(entry, generation, 0))
                continue;`,
      to: 'this.#swap(entry, generation, 0);',
      why: /twice|once/,
    },
    {
      name: 'holds before it has written',
      program: 'one settles while main takes it for dead',
      from: 'if (this.#swap(entry, 0, -generation)) {',
      to: 'if (this.#swap(entry, 0, generation)) {',
      why: /half written|race|twice/,
    },
    {
      name: 'leaves what was half written',
      program: 'one dies',
      from: `if (state === -generation)
                this.#swap(entry, state, 0);`,
      to: '',
      why: /entries of the dead/,
    },
    {
      name: 'frees by a store',
      program: 'two lives in one row',
      from: `if (!this.#swap(entry, generation, 0))
            return false;`,
      to: `this.#atomics.store(this.#words, entry + ReservationWord.state, 0);`,
      why: /once|next life/,
    },
  ],
};

await prove(test, books);
