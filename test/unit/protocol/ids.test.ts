/** Goal: an id gives back what it was made of, has one shape, and nothing else passes for one. Method: fast-check. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatId, NONCE_BYTES, parseId } from '../../../src/protocol/ids.ts';
import { seeded } from '../../support/seed.ts';

const { seed } = seeded('ids');
const parts = fc.record({
  owner: fc.integer({ min: 0, max: 0xff }),
  generation: fc.integer({ min: 0, max: 0xffff }),
  nonce: fc.uint8Array({ minLength: NONCE_BYTES, maxLength: NONCE_BYTES }),
  tag: fc.integer({ min: 0, max: 0xffff_ffff }),
});

test('an id is its prefix and 31 characters, and gives back what it was made of', () => {
  fc.assert(
    fc.property(parts, (made) => {
      const id = formatId('resp_', made);
      assert.match(id, /^resp_[A-Za-z0-9_-]{31}$/);
      assert.deepEqual(parseId('resp_', id), { ...made });
    }),
    { seed },
  );
});

test('two seeds that differ in one bit of the nonce have different ids', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 0, max: NONCE_BYTES * 8 - 1 }), (made, bit) => {
      const nonce = made.nonce.slice();
      nonce[bit >> 3] ^= 1 << (bit & 7);
      assert.notEqual(formatId('resp_', made), formatId('resp_', { ...made, nonce }));
    }),
    { seed },
  );
});

test('a generation beyond 16 bits and a negative tag are taken by their low bits', () => {
  const nonce = new Uint8Array(NONCE_BYTES);
  const id = formatId('resp_', { owner: 1, generation: 0x1_0002, nonce, tag: -1 });
  assert.deepEqual(parseId('resp_', id), { owner: 1, generation: 2, nonce, tag: 0xffff_ffff });
});

test('what is no id is undefined', () => {
  const nonce = new Uint8Array(NONCE_BYTES);
  const id = formatId('resp_', { owner: 0, generation: 0, nonce, tag: 0 });
  const bad = [
    '',
    'resp_',
    id.slice(0, -1),
    `${id}A`,
    id.replace('resp_', 'msg_'),
    `${id.slice(0, -1)}=`,
  ];
  for (const text of bad) assert.equal(parseId('resp_', text), undefined, text);
  fc.assert(
    fc.property(fc.string(), (text) => {
      if (!/^[A-Za-z0-9_-]{31}$/.test(text))
        assert.equal(parseId('resp_', `resp_${text}`), undefined);
    }),
    { seed },
  );
});
