import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, double, property } from 'fast-check';
import { median, quantile, ratios } from '../../../bench/support/statistics.ts';
import { seeded } from '../../support/seed.ts';

test('the median of an odd count is the middle value, of an even count the mean of the two in the middle', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
});

test('a quantile lies between the ranks around it', () => {
  assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
  assert.equal(quantile([10, 20], 0.25), 12.5);
  assert.equal(quantile([3, 1, 2], 0), 1);
  assert.equal(quantile([3, 1, 2], 1), 3);
});

test('a quantile neither leaves the range of the values nor falls as its share grows', () => {
  const { seed } = seeded('quantiles');
  const values = array(double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1 });
  const share = double({ min: 0, max: 1, noNaN: true });
  const holds = (all: number[], a: number, b: number) => {
    const [low, high] = [quantile(all, Math.min(a, b)), quantile(all, Math.max(a, b))];
    const slack = 1e-6;
    assert.ok(low >= Math.min(...all) - slack && high <= Math.max(...all) + slack);
    assert.ok(low <= high + slack);
  };
  check(property(values, share, share, holds), { seed });
});

test('no values have no quantile', () => {
  assert.throws(() => quantile([], 0.5), /needs values/);
});

test('ratios are taken round by round, not of medians', () => {
  assert.deepEqual(ratios([2, 6, 20], [1, 3, 10]), [2, 2, 2]);
  assert.throws(() => ratios([1, 2], [1]), /as many rounds/);
});
