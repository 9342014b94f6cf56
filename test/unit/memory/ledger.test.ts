import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ledgerAccounts } from '../../../src/memory/contract.ts';
import { allocateLedger, openLedger, writeOffLedger } from '../../../src/memory/ledger.ts';
import { Bug } from '../../../src/must.ts';
import { runs } from '../../support/runs.ts';

test('takes up to the bound to the byte, and not one more', () => {
  for (const bound of [0, 1, 1023, 1024, 1025, 100_000]) {
    const ledger = openLedger(allocateLedger(), bound);
    assert.ok(ledger.take('rings', 0));
    assert.equal(ledger.take('rings', bound + 1), false);
    assert.equal(ledger.total(), 0, 'a refused take books nothing');
    assert.ok(ledger.take('outbox', bound));
    assert.equal(ledger.take('replay', 1), false);
    assert.equal(ledger.total(), bound);
    ledger.give('outbox', bound);
    assert.equal(ledger.total(), 0);
  }
});

test('counts to a terabyte', () => {
  const ledger = openLedger(allocateLedger(), 2 ** 40);
  assert.ok(ledger.take('history', 2 ** 40 - 1));
  assert.equal(ledger.total(), 2 ** 40 - 1);
  assert.equal(ledger.take('history', 2), false);
  assert.ok(ledger.take('retained', 1));
  assert.throws(() => openLedger(allocateLedger(), 2 ** 41), Bug);
});

test('bytes that one thread takes and another gives leave nothing behind', () => {
  const shared = allocateLedger();
  const [taker, giver] = [openLedger(shared, 1e9), openLedger(shared, 1e9)];
  for (let i = 0; i < 10_000; i++) {
    assert.ok(taker.take('replay', 100));
    giver.give('replay', 100);
  }
  assert.ok(taker.held('replay') < 2048, 'at most a KiB of rounding a thread');
  const words = new Int32Array(shared);
  assert.ok(words[0] >= 0 && words[0] <= 1);
});

test('giving more than was taken is a bug', () => {
  const ledger = openLedger(allocateLedger(), 10_000);
  ledger.take('rings', 1024);
  assert.throws(() => ledger.give('rings', 2049), Bug);
  assert.throws(() => openLedger(allocateLedger(), 1).give('rings', -1), Bug);
  assert.throws(() => openLedger(allocateLedger(), 1).take('rings', -1), Bug);
});

test('what a dead thread had taken is written off, once, and nobody else’s', () => {
  const shared = allocateLedger(3);
  const [main, one, two] = [0, 1, 2].map((row) => openLedger(shared, 1e9, row));
  main.take('retained', 5_000);
  one.take('history', 70_000);
  one.take('outbox', 3_000);
  one.give('outbox', 1_000);
  two.take('history', 9_000);
  writeOffLedger(shared, 1);
  assert.ok(two.held('history') >= 9_000 && two.held('history') < 9_000 + 2_048);
  assert.equal(main.held('outbox'), 0);
  writeOffLedger(shared, 1);
  two.give('history', 9_000);
  main.give('retained', 5_000);
  assert.equal(main.total(), 0);
  // Its successor books in the same row.
  const next = openLedger(shared, 1e9, 1);
  next.take('history', 2_000);
  next.give('history', 2_000);
  assert.equal(main.total(), 0);
  assert.throws(() => openLedger(shared, 1, 3), Bug);
});

test('three threads stay within rounding of a plain model, and never over the bound', () => {
  const step = fc.record({
    who: fc.nat(2),
    account: fc.constantFrom(...ledgerAccounts),
    bytes: fc.nat(3000),
    take: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const shared = allocateLedger();
      const bound = 20_000;
      const books = [0, 1, 2].map(() => openLedger(shared, bound));
      const model = new Map<string, number>(ledgerAccounts.map((name) => [name, 0]));
      const sum = () => [...model.values()].reduce((all, n) => all + n, 0);
      const slack = books.length * ledgerAccounts.length * 1024;
      for (const { who, account, bytes, take } of steps) {
        const held = model.get(account) ?? 0;
        if (take) {
          const taken = books[who].take(account, bytes);
          if (taken) model.set(account, held + bytes);
          else assert.ok(sum() + bytes + slack > bound, 'refused with room to spare');
        } else {
          const given = Math.min(bytes, held);
          books[who].give(account, given);
          model.set(account, held - given);
        }
        assert.ok(sum() <= bound);
        for (const book of books) {
          assert.ok(book.total() >= sum() && book.total() < sum() + slack);
          const rest = book.held(account) - (model.get(account) ?? 0);
          assert.ok(rest >= 0 && rest < books.length * 1024);
        }
      }
    }),
    runs(200, 5000),
  );
});
