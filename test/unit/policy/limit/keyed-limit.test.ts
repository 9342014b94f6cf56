/** Goal: many keys in bounded memory, each with its own limit. Method: one thread; keys that nobody would choose in good faith. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPrivateLimitTable, privateLimitWords } from '../../../../src/memory/limit-table.ts';
import { hashKey } from '../../../../src/policy/limit/key-hash.ts';
import { KeyedLimit, type WhenFull } from '../../../../src/policy/limit/keyed-limit.ts';
import { Lease } from '../../../../src/policy/limit/lease.ts';
import { PlainWords } from '../../../../src/policy/limit/limit-words.ts';
import { TokenBucket } from '../../../../src/policy/limit/token-bucket.ts';

function limitOf(slots: number, whenFull: WhenFull, perSecond = 1, burst = 2) {
  const table = openPrivateLimitTable(privateLimitWords(slots, 1, 42));
  const algorithm = new TokenBucket(perSecond, burst);
  const crowd = table.row(0);
  return { table, limit: new KeyedLimit({ algorithm, slots: table, rule: 0, crowd, whenFull }) };
}

test('a million keys live in bounded memory: the idle ones make room', () => {
  const { table, limit } = limitOf(4_096, 'crowd', 1_000, 1);
  let refused = 0;
  for (let at = 0; at < 1_000_000; at++) {
    // Each is idle two seconds after its permit came back, and 2,000 come in that time.
    if (!limit.take(limit.subject(`user-${at}`), 1, at * 2)) refused++;
  }
  assert.ok(table.used() <= 4_096);
  // Half of the table is in use at a time: one in 100,000 meets sixteen others where it may lie.
  assert.ok(limit.crowded <= 50 && refused <= limit.crowded, `${limit.crowded} crowded`);
});

test('keys without room share one limit, pass, or do not, as it was chosen', () => {
  const passed = (['crowd', 'admit', 'refuse'] as const).map((whenFull) => {
    const { limit } = limitOf(16, whenFull);
    for (let at = 0; at < 16; at++) assert.ok(limit.take(limit.subject(`k${at}`), 1, 1_000));
    let more = 0;
    for (let at = 16; at < 116; at++) if (limit.take(limit.subject(`k${at}`), 1, 1_000)) more++;
    assert.equal(limit.crowded, 100);
    return more;
  });
  assert.deepEqual(passed, [2, 100, 0]);
});

test('a full table sweeps itself when keys have become idle', () => {
  const { table, limit } = limitOf(16, 'refuse');
  for (let at = 0; at < 16; at++) assert.ok(limit.take(limit.subject(`k${at}`), 1, 1_000));
  assert.equal(limit.take(limit.subject('late'), 1, 1_500), false);
  assert.ok(limit.take(limit.subject('late'), 1, 5_000));
  assert.equal(table.used(), 1);
  assert.equal(limit.sweep(16, 20_000), 1);
});

test('hostile keys are keys like any other: __proto__, the empty one, a megabyte, lone surrogates', () => {
  const { limit } = limitOf(64, 'refuse');
  const keys = [
    '__proto__',
    'constructor',
    '',
    '\0',
    '\ud800',
    'x'.repeat(2 ** 20),
    'x'.repeat(2 ** 20 - 1),
  ];
  for (const key of keys) {
    const subject = limit.subject(key);
    const taken = [1, 2, 3].map(() => limit.take(subject, 1, 1_000));
    assert.deepEqual(taken, [true, true, false], key.slice(0, 20));
    assert.equal(limit.take(limit.subject(key), 1, 1_000), false, 'another handle of it');
    assert.equal(limit.remaining(subject, 1_000), 0);
    assert.equal(limit.waitMs(subject, 1, 1_000), 1_000);
    limit.reset(subject);
    assert.equal(limit.remaining(subject, 1_000), 2);
  }
});

test('what is given back can be taken again', () => {
  const { limit } = limitOf(16, 'refuse');
  const subject = limit.subject('a');
  assert.ok(limit.take(subject, 2, 1_000));
  limit.give(subject, 1, 1_000);
  assert.ok(limit.take(subject, 1, 1_000));
  assert.equal(limit.take(subject, 1, 1_000), false);
});

test('hashes of like keys fall apart: 200,000 in 2^17 places as by chance, none alike; another seed, others', () => {
  const halves = { high: 0, low: 0 };
  const seen = new Set<string>();
  const places = new Uint8Array(2 ** 17);
  for (let at = 0; at < 200_000; at++) {
    hashKey(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`, 99, halves);
    seen.add(`${halves.high},${halves.low}`);
    places[halves.low & (places.length - 1)]++;
  }
  assert.equal(seen.size, 200_000);
  const fullest = places.reduce((most, count) => Math.max(most, count));
  assert.ok(fullest < 14, `${fullest} in one place`);
  const empty = places.filter((count) => count === 0).length / places.length;
  assert.ok(Math.abs(empty - Math.exp(-200_000 / 2 ** 17)) < 0.01, `${empty} empty`);
  hashKey('a', 1, halves);
  const { high, low } = halves;
  hashKey('a', 2, halves);
  assert.ok(halves.high !== high && halves.low !== low);
});

test('leases admit exactly the limit, give back what nobody used, and take one by one near the end', () => {
  const limit = new TokenBucket(1, 100);
  const words = new PlainWords(1);
  const [first, second] = [0, 1].map(() => new Lease(limit, words, 0, { size: 16, heldMs: 50 }));
  let admitted = 0;
  for (let at = 0; at < 100; at++) {
    if (first.take(1, 1_000)) admitted++;
    if (second.take(1, 1_000)) admitted++;
  }
  assert.equal(admitted, 100);
  const other = new PlainWords(1);
  const lease = new Lease(limit, other, 0, { size: 16, heldMs: 50 });
  assert.ok(lease.take(1, 1_000));
  assert.equal(limit.remaining(other, 0, 1_000), 84);
  lease.release(1_000);
  assert.equal(limit.remaining(other, 0, 1_000), 99);
  assert.ok(lease.take(1, 1_000));
  assert.ok(lease.take(1, 1_060), 'a lease that is too old is renewed');
  assert.equal(limit.remaining(other, 0, 1_060), 97 - lease.left);
});
