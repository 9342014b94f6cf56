/** The prepared frame, filled again and again with other numbers and deltas. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DeltaFrame } from '../../../../src/protocol/dialects/delta-frame.ts';
import { seeded } from '../../../support/seed.ts';

test('any growing numbers and any deltas give the frame that a template string gives', () => {
  const { seed } = seeded('delta frame');
  const deltas = fc.array(
    fc.record({
      step: fc.constantFrom(1, 1, 1, 8, 90, 900, 123_456),
      text: fc.string({ maxLength: 700 }),
    }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(fc.nat(2_000), deltas, (first, all) => {
      const frame = new DeltaFrame('{"n":', ',"where":"ä","d":"', Buffer.from('"}'));
      let sequence = first;
      for (const { step, text } of all) {
        const bytes = Buffer.from(`<${text}>`);
        const length = frame.fill(sequence, bytes, 1, bytes.length - 1);
        const made = Buffer.from(frame.bytes.subarray(0, length)).toString();
        assert.equal(made, `{"n":${sequence},"where":"ä","d":"${Buffer.from(text).toString()}"}`);
        sequence += step;
      }
    }),
    { seed, numRuns: 300 },
  );
});

test('every width of a number fits, at its edges', () => {
  const frame = new DeltaFrame('', '|', Buffer.from(''));
  for (const sequence of [0, 9, 10, 99, 100, 999, 1_000, 99_999, 100_000, 2_147_483_647]) {
    const length = frame.fill(sequence, Buffer.from('x'), 0, 1);
    assert.equal(Buffer.from(frame.bytes.subarray(0, length)).toString(), `${sequence}|x`);
  }
});
