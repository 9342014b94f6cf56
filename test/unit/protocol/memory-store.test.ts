/** The store in memory: bounded by bytes, the oldest go first, and only the holder finds what it stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MemoryStore } from '../../../src/protocol/memory-store.ts';
import { seeded } from '../../support/seed.ts';

const entry = (responseId: string, bytes: number, holder = 'h') => ({
  responseId,
  holder,
  bytes,
  content: {},
});

test('a stored response is found by its holder alone', () => {
  const store = new MemoryStore(100);
  store.put(entry('a', 10));
  assert.equal(store.get('a', 'h')?.bytes, 10);
  assert.equal(store.get('a', 'other'), undefined);
  assert.equal(store.get('b', 'h'), undefined);
});

test('the bound holds at 0, at exactly full and one byte above', () => {
  const none = new MemoryStore(0);
  none.put(entry('a', 1));
  assert.equal(none.heldBytes, 0);
  const store = new MemoryStore(100);
  store.put(entry('a', 50));
  store.put(entry('b', 50));
  assert.equal(store.heldBytes, 100);
  store.put(entry('c', 1));
  assert.equal(store.get('a', 'h'), undefined);
  assert.equal(store.heldBytes, 51);
  store.put(entry('d', 101));
  assert.equal(store.get('d', 'h'), undefined);
  assert.equal(store.heldBytes, 51);
});

test('held bytes are the sum of what is found, whatever is put and evicted', () => {
  const { seed } = seeded('memory store');
  const step = fc.record({ id: fc.nat(8), bytes: fc.nat(60), evict: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const store = new MemoryStore(100);
      for (const { id, bytes, evict } of steps) {
        if (evict) store.evict(String(id));
        else store.put(entry(String(id), bytes));
        let sum = 0;
        for (let known = 0; known <= 8; known++) sum += store.get(String(known), 'h')?.bytes ?? 0;
        assert.equal(store.heldBytes, sum);
        assert.ok(sum <= 100);
      }
    }),
    { seed, numRuns: 300 },
  );
});
