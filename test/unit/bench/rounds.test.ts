import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interleave } from '../../../bench/support/rounds.ts';

test('every round measures every variant, and turns the order round', async () => {
  const order: string[] = [];
  const readings = await interleave([{ name: 'A' }, { name: 'B' }], 3, ({ name }, round) => {
    order.push(name);
    return Promise.resolve(`${name}${round}`);
  });
  assert.equal(order.join(''), 'ABBAAB');
  assert.deepEqual(readings.get('A'), ['A0', 'A1', 'A2']);
  assert.deepEqual(readings.get('B'), ['B0', 'B1', 'B2']);
});
