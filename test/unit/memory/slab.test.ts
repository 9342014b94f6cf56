import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Ticket } from '../../../src/memory/contract.ts';
import { allocateSlab, openSlab, SLAB_BLOCK_BYTES } from '../../../src/memory/slab.ts';
import { Bug } from '../../../src/must.ts';
import { runs } from '../../support/runs.ts';

const block = SLAB_BLOCK_BYTES;

test('a slab has whole blocks, and none is legal', () => {
  for (const [asked, blocks] of [
    [0, 0],
    [1, 1],
    [block, 1],
    [block + 1, 2],
  ]) {
    assert.equal(openSlab(allocateSlab(asked)).bytes, blocks * block);
  }
  assert.equal(openSlab(allocateSlab(0)).claim(0, 1), undefined);
  assert.throws(() => openSlab(new SharedArrayBuffer(5000)), Bug);
  assert.throws(() => allocateSlab(-1), Bug);
});

test('a claim takes the blocks its length needs, and a claim of nothing takes one', () => {
  const slab = openSlab(allocateSlab(4 * block));
  for (const [length, blocks] of [
    [0, 1],
    [1, 1],
    [block, 1],
    [block + 1, 2],
    [4 * block, 4],
  ]) {
    const ticket = slab.claim(length, 7) ?? assert.fail(`${length} bytes`);
    assert.equal(slab.taken(), blocks);
    assert.equal(slab.view(ticket).length, length);
    slab.free(ticket);
    assert.equal(slab.taken(), 0);
  }
  assert.equal(slab.claim(4 * block + 1, 7), undefined);
  assert.equal(slab.taken(), 0, 'a refused claim keeps nothing');
});

test('a hole too small is passed over, and one that fits is found behind the hint', () => {
  const slab = openSlab(allocateSlab(4 * block));
  const tickets = [1, 1, 1, 1].map(() => slab.claim(block, 1) ?? assert.fail('full'));
  slab.free(tickets[0]);
  slab.free(tickets[2]);
  assert.equal(slab.claim(2 * block, 1), undefined);
  assert.equal(slab.taken(), 2);
  slab.free(tickets[1]);
  assert.deepEqual(slab.claim(3 * block, 1), { block: 0, length: 3 * block });
});

test('a hole around the place where the search begins is found', () => {
  const slab = openSlab(allocateSlab(4 * block));
  slab.claim(block, 1);
  slab.free(slab.claim(block, 1) ?? assert.fail('full'));
  assert.deepEqual(slab.claim(3 * block, 1), { block: 1, length: 3 * block });
});

test('freed blocks rest until the others were used', () => {
  const slab = openSlab(allocateSlab(3 * block));
  const blocks = Array.from({ length: 4 }, () => {
    const ticket = slab.claim(block, 1) ?? assert.fail('full');
    slab.free(ticket);
    return ticket.block;
  });
  assert.deepEqual(blocks, [0, 1, 2, 0]);
});

test('a ticket of nothing is freed once too, and a swept ticket not at all', () => {
  const slab = openSlab(allocateSlab(3 * block));
  const nothing = slab.claim(0, 1) ?? assert.fail('full');
  slab.free(nothing);
  assert.throws(() => slab.free(nothing), Bug);
  const swept = [slab.claim(0, 1), slab.claim(5, 1)];
  assert.equal(slab.sweep(1), 2);
  for (const ticket of swept) assert.throws(() => slab.free(ticket ?? assert.fail('full')), Bug);
});

test('freeing twice, a foreign ticket, and a ticket outside are bugs', () => {
  const slab = openSlab(allocateSlab(3 * block));
  const ticket = slab.claim(10, 1) ?? assert.fail('full');
  assert.throws(() => slab.free({ block: ticket.block, length: 11 }), Bug);
  const again = slab.claim(10, 1) ?? assert.fail('full');
  slab.free(again);
  assert.throws(() => slab.free(again), Bug);
  for (const wrong of [-1, 3, 2 ** 20]) {
    assert.throws(() => slab.view({ block: wrong, length: 1 }), Bug);
    assert.throws(() => slab.free({ block: wrong, length: 1 }), Bug);
  }
  assert.throws(() => slab.view({ block: 2, length: block + 1 }), Bug);
  assert.throws(() => slab.claim(1, 0), Bug);
  assert.throws(() => slab.claim(-1, 1), Bug);
});

test('sweep frees what one owner holds and nothing else', () => {
  const slab = openSlab(allocateSlab(6 * block));
  slab.claim(block, 1);
  const kept = slab.claim(2 * block, -2) ?? assert.fail('full');
  slab.claim(2 * block, 1);
  slab.view(kept).fill(3);
  assert.equal(slab.sweep(1), 3);
  assert.equal(slab.sweep(1), 0);
  assert.equal(slab.taken(), 2);
  assert.ok(slab.view(kept).every((byte) => byte === 3));
  slab.free(kept);
  assert.equal(slab.taken(), 0);
  assert.throws(() => slab.sweep(0), Bug);
});

test('random claims never overlap, and all space comes back', () => {
  const blocks = 8;
  const step = fc.record({
    length: fc.nat(5 * block),
    free: fc.nat(20),
    owner: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const slab = openSlab(allocateSlab(blocks * block));
      let held: (Ticket & { owner: number })[] = [];
      for (const { length, free, owner } of steps) {
        const ticket = slab.claim(length, owner);
        if (ticket) held.push({ ...ticket, owner });
        const used = held.flatMap((one) =>
          Array.from(
            { length: Math.max(1, Math.ceil(one.length / block)) },
            (_, i) => one.block + i,
          ),
        );
        assert.equal(new Set(used).size, used.length, 'a block two hold');
        assert.equal(slab.taken(), used.length);
        if (!ticket) assert.ok(used.length > 0, 'an empty slab refused');
        const gone = held[free];
        if (gone) slab.free(gone);
        held = held.filter((one) => one !== gone);
      }
      for (const owner of [1, 2, 3]) slab.sweep(owner);
      assert.equal(slab.taken(), 0);
    }),
    runs(100, 5000),
  );
});
