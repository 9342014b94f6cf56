/** Credit, slab blocks, upstream rows and ledger under every interleaving of small programs, and faults that must be found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as ledger from '../../../src/memory/ledger.ts';
import type * as sessionCells from '../../../src/memory/session-cells.ts';
import type * as slab from '../../../src/memory/slab.ts';
import type * as upstreamTable from '../../../src/memory/upstream-table.ts';
import type { Program } from '../../support/interleavings.ts';
import { prove, type Subject } from '../../support/prove.ts';
import { trackedAtomics } from '../../support/tracked.ts';

/** A worker with some frames, and main that takes them out and grants credit: the worker must get them all through. */
function credit(frames: number, frameBytes: number, watermark: number, sentBefore: number) {
  return ({ allocateSessionCells, openSessionCells }: typeof sessionCells): Program => {
    const shared = allocateSessionCells(1);
    const rows = new Int32Array(shared);
    const At = { inRing: 0, mainBell: 1, workerBell: 2 } as const;
    const words = new Int32Array(new SharedArrayBuffer(16));
    rows[1] = sentBefore | 0;
    rows[2] = (sentBefore + watermark) | 0;
    return {
      memory: [rows, words],
      sides: [
        (world) => {
          const cells = openSessionCells(shared, world.atomics);
          for (let sent = 0; sent < frames; sent++) {
            while (cells.credit(0) <= 0 && !cells.await(0)) world.wait(words, At.workerBell);
            cells.spend(0, frameBytes);
            world.post(words, At.inRing);
            world.post(words, At.mainBell);
          }
        },
        (world) => {
          const cells = openSessionCells(shared, world.atomics);
          for (let taken = 0; taken < frames; ) {
            world.wait(words, At.mainBell);
            const found = world.atomics.exchange(words, At.inRing, 0);
            assert.ok(found * frameBytes < watermark + frameBytes, 'more than was granted');
            taken += found;
            const waits = cells.grant(0, sentBefore + taken * frameBytes, 0, watermark);
            if (waits) world.post(words, At.workerBell);
          }
        },
      ],
      atEnd: () => {
        assert.equal(rows[1], (sentBefore + frames * frameBytes) | 0, 'bytes sent');
        assert.equal((rows[2] - rows[1]) | 0, watermark, 'credit at the end');
      },
    };
  };
}

/** The late bytes of a former worker and those of the new one, in one slot. */
function twoSpend({ allocateSessionCells, openSessionCells }: typeof sessionCells): Program {
  const shared = allocateSessionCells(1);
  const rows = new Int32Array(shared);
  const spend =
    (bytes: number): Program['sides'][number] =>
    (world) =>
      openSessionCells(shared, world.atomics).spend(0, bytes);
  return {
    memory: [rows],
    sides: [spend(3), spend(4)],
    atEnd: () => assert.equal(rows[1], 7, 'bytes sent'),
  };
}

const sessions: Subject<typeof sessionCells> = {
  path: 'src/memory/session-cells.js',
  programs: {
    'three frames, credit for one': credit(3, 10, 10, 0),
    'three frames, credit for two and a bit, over 2^32': credit(3, 10, 21, 2 ** 32 - 15),
    'two frames over 2^31': credit(2, 10, 5, 2 ** 31 - 5),
    'two workers spend': twoSpend,
  },
  faults: [
    {
      name: 'waits for credit without looking again',
      program: 'three frames, credit for one',
      from: `if (this.credit(slot) <= 0)
            return false;
        this.#atomics.store(this.#words, row + SessionWord.waiting, 0);
        return true;`,
      to: 'return false;',
      why: /nobody can go on/,
    },
    {
      name: 'looks for a waiter before it moves the limit',
      program: 'three frames, credit for one',
      from: `this.#atomics.store(this.#words, row + SessionWord.limit, limit);
        if (this.#atomics.load(this.#words, row + SessionWord.waiting) === 0)
            return false;`,
      to: `const waits = this.#atomics.load(this.#words, row + SessionWord.waiting);
        this.#atomics.store(this.#words, row + SessionWord.limit, limit);
        if (waits === 0) return false;`,
      why: /nobody can go on/,
    },
    {
      name: 'counts the sent bytes in two steps',
      program: 'two workers spend',
      from: 'this.#atomics.add(this.#words, this.#row(slot) + SessionWord.sent, bytes | 0);',
      to: `const seen = this.#atomics.load(this.#words, this.#row(slot) + SessionWord.sent);
        this.#atomics.store(this.#words, this.#row(slot) + SessionWord.sent, seen + bytes);`,
      why: /bytes sent/,
    },
  ],
};

const block = 64 * 1024;

/** Two owners claim and free; the first may die anywhere, then main sweeps for it. `blocks` says how many each claims. */
function claims(slabBlocks: number, first: number, second: readonly number[], dies: boolean) {
  return ({ allocateSlab, openSlab }: typeof slab): Program => {
    const shared = allocateSlab(slabBlocks * block);
    const words = new Int32Array(shared, 0, 16 + 2 * slabBlocks);
    /** A bit for every block somebody holds; death of the first owner. */
    const At = { held: 0, ended: 1 } as const;
    const oracle = new Int32Array(new SharedArrayBuffer(8));
    const owner =
      (name: number, counts: readonly number[], marks: boolean): Program['sides'][number] =>
      (world) => {
        const mine = openSlab(shared, world.atomics);
        for (const count of counts) {
          const ticket = mine.claim(count * block, name);
          if (!ticket) continue;
          const bits = (2 ** count - 1) << ticket.block;
          const held = marks ? world.atomics.add(oracle, At.held, bits) : 0;
          assert.equal(held & bits, 0, 'a block two hold');
          if (marks) world.atomics.sub(oracle, At.held, bits);
          mine.free(ticket);
        }
        if (dies && name === 1) world.post(oracle, At.ended);
      };
    const sweep: Program['sides'][number] = (world) => {
      world.wait(oracle, At.ended);
      openSlab(shared, world.atomics).sweep(1);
    };
    return {
      memory: [words, oracle],
      sides: [owner(1, [first], !dies), owner(2, second, !dies), ...(dies ? [sweep] : [])],
      ...(dies ? { mortal: { side: 0, words: oracle, at: At.ended } } : {}),
      atEnd: () => assert.equal(openSlab(shared, trackedAtomics).taken(), 0, 'blocks still taken'),
    };
  };
}

const slabs: Subject<typeof slab> = {
  path: 'src/memory/slab.js',
  programs: {
    'two of three blocks each': claims(3, 2, [2], false),
    'one block, claimed by both': claims(1, 1, [1, 1], false),
    'the first owner dies': claims(2, 2, [1], true),
  },
  faults: [
    {
      name: 'claims in two steps',
      program: 'one block, claimed by both',
      from: 'if (this.#atomics.compareExchange(this.#words, this.#owners + at, 0, owner) === 0) {',
      to: `if (this.#atomics.load(this.#words, this.#owners + at) === 0) {
                this.#atomics.store(this.#words, this.#owners + at, owner);`,
      why: /a block two hold|freed twice/,
    },
    {
      name: 'keeps the blocks of a claim that was too small',
      program: 'two of three blocks each',
      from: 'this.#drop(at - got, at);',
      to: '',
      why: /blocks still taken/,
    },
    {
      name: 'sweeps only what was claimed to the end',
      program: 'the first owner dies',
      from: '!== owner)',
      to: '!== owner || this.#atomics.load(this.#words, this.#claims + at) === 0)',
      why: /blocks still taken/,
    },
    {
      name: 'wipes a claim after it gave the block back',
      program: 'one block, claimed by both',
      from: `this.#atomics.store(this.#words, this.#owners + at, 0);
        }
    }
    sweep`,
      to: `this.#atomics.store(this.#words, this.#owners + at, 0);
        }
        this.#atomics.store(this.#words, this.#claims + block, 0);
    }
    sweep`,
      why: /freed twice/,
    },
  ],
};

/** A worker dies with a stream running; main (and the coordinator) clears up while its successor starts one. */
function successor(reclaimers: 1 | 2) {
  return ({ allocateUpstreamTable, openUpstreamTable }: typeof upstreamTable): Program => {
    const coordinator: Program['sides'][number] = (world) => {
      world.wait(bells, At.second);
      openUpstreamTable(shared, world.atomics).reclaim(0, 1);
    };
    const shared = allocateUpstreamTable(1, 1);
    const words = new Int32Array(shared);
    const At = { ended: 0, second: 1, next: 2 } as const;
    const bells = new Int32Array(new SharedArrayBuffer(16));
    return {
      memory: [words, bells],
      mortal: { side: 0, words: bells, at: At.ended },
      sides: [
        (world) => {
          const table = openUpstreamTable(shared, world.atomics);
          table.claim(0, 1);
          table.acquire(0, 0);
          world.post(bells, At.ended);
        },
        (world) => {
          world.wait(bells, At.ended);
          world.post(bells, At.second);
          world.post(bells, At.next);
          openUpstreamTable(shared, world.atomics).reclaim(0, 1);
        },
        (world) => {
          world.wait(bells, At.next);
          const table = openUpstreamTable(shared, world.atomics);
          table.claim(0, 2);
          table.acquire(0, 0);
        },
        ...(reclaimers === 2 ? [coordinator] : []),
      ],
      atEnd: () => {
        const table = openUpstreamTable(shared, trackedAtomics);
        assert.equal(table.inFlight(0), 1, 'streams running');
        assert.equal(table.share(0, 0, 0), 2, 'the generation');
      },
    };
  };
}

/** A late release of the former worker and one of the next, of two streams that run. */
function twoRelease({ allocateUpstreamTable, openUpstreamTable }: typeof upstreamTable): Program {
  const shared = allocateUpstreamTable(1, 1);
  openUpstreamTable(shared, trackedAtomics).setShare(0, 0, 1, 2);
  const release: Program['sides'][number] = (world) =>
    openUpstreamTable(shared, world.atomics).release(0, 0, true);
  return {
    memory: [new Int32Array(shared)],
    sides: [release, release],
    atEnd: () => {
      const table = openUpstreamTable(shared, trackedAtomics);
      assert.equal(table.inFlight(0), 0, 'streams running');
      assert.equal(table.share(0, 0, 2), 2, 'streams succeeded');
    },
  };
}

/** Two workers and one place. */
function lastPlace({ allocateUpstreamTable, openUpstreamTable }: typeof upstreamTable): Program {
  const shared = allocateUpstreamTable(1, 2);
  openUpstreamTable(shared, trackedAtomics).set(0, 4, 1);
  const got = [false, false];
  const take =
    (worker: number): Program['sides'][number] =>
    (world) => {
      got[worker] = openUpstreamTable(shared, world.atomics).tryAcquire(0, worker);
    };
  return {
    memory: [new Int32Array(shared)],
    sides: [take(0), take(1)],
    atEnd: () => {
      const table = openUpstreamTable(shared, trackedAtomics);
      const taken = got.filter(Boolean).length;
      assert.ok(taken <= 1, 'places given');
      assert.equal(table.inFlight(0), taken, 'streams running');
    },
  };
}

const tables: Subject<typeof upstreamTable> = {
  path: 'src/memory/upstream-table.js',
  programs: {
    'a worker dies': successor(1),
    'two release': twoRelease,
    'two want the last place': lastPlace,
    ...(process.env['SLOW'] ? { 'a worker dies, two clear up': successor(2) } : {}),
  },
  faults: [
    {
      name: 'zeroes by a store',
      program: 'a worker dies',
      from: 'this.#atomics.sub(this.#words, row + word, left[index]);',
      to: 'this.#atomics.store(this.#words, row + word, 0);',
      why: /streams/,
    },
    {
      name: 'looks before it says that it comes',
      program: 'two want the last place',
      from: `this.#atomics.add(this.#words, at, 1);
        // First the word, then the sum: of two that meet at the last place each sees the other. Both may go back and look again; never do both get it.
        if (this.#sum(upstream) <= this.get(upstream, UpstreamWord.capacity))
            return true;`,
      to: `if (this.#sum(upstream) < this.get(upstream, UpstreamWord.capacity)) {
            this.#atomics.add(this.#words, at, 1);
            return true;
        }
        return false;`,
      why: /places given/,
    },
    {
      name: 'takes a lost swap for a release',
      program: 'two release',
      from: 'if (before === seen)',
      to: 'if (before !== seen)',
      why: /streams running/,
    },
    {
      name: 'zeroes without winning the generation',
      program: 'a worker dies',
      from: `this.#atomics.compareExchange(this.#words, at, generation, 0) !== generation)
            return false;`,
      to: `this.#atomics.load(this.#words, at) !== generation) return false;
        this.#atomics.store(this.#words, at, 0);`,
      why: /streams|the generation/,
    },
  ],
};

/** Two threads that want two KiB each, and together may have three. */
function bounded({ allocateLedger, openLedger }: typeof ledger): Program {
  const shared = allocateLedger();
  const words = new Int32Array(shared);
  const booked = new Int32Array(new SharedArrayBuffer(8));
  const side: Program['sides'][number] = (world) => {
    const book = openLedger(shared, 3 * 1024, 0, world.atomics);
    for (const account of ['rings', 'replay'] as const) {
      if (book.take(account, 1024)) world.post(booked, 0);
    }
  };
  return {
    memory: [words, booked],
    sides: [side, side],
    atEnd: () => {
      assert.equal(booked[0], 3, 'bookings');
      const book = openLedger(shared, 3 * 1024, 0, trackedAtomics);
      assert.equal(book.total(), 3 * 1024, 'the total');
      assert.equal(book.held('rings') + book.held('replay'), 3 * 1024, 'the accounts');
    },
  };
}

const ledgers: Subject<typeof ledger> = {
  path: 'src/memory/ledger.js',
  programs: { 'three of four KiB': bounded },
  faults: [
    {
      name: 'books in two steps',
      program: 'three of four KiB',
      from: 'this.#atomics.compareExchange(this.#words, totalWord, seen, seen + more);',
      to: '(this.#atomics.add(this.#words, totalWord, more), seen);',
      why: /bookings/,
    },
  ],
};

await prove(test, sessions);
await prove(test, slabs);
await prove(test, tables);
await prove(test, ledgers);
