import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCode, type Goal, judge, ROUNDS_MIN } from '../../../bench/support/verdict.ts';

const goal = (values: number[], other: Partial<Goal> = {}): Goal => ({
  what: 'a ratio',
  sense: 'at most',
  limit: 1,
  unit: 'x',
  values,
  ...other,
});
const verdict = (values: number[], other: Partial<Goal> = {}) => judge(goal(values, other)).verdict;

test('a goal is reached when median and quartiles keep it, the limit itself included', () => {
  assert.equal(verdict([0.8, 0.9, 0.9, 0.9, 3]), 'reached');
  assert.equal(verdict([1, 1, 1, 1, 1]), 'reached');
});

test('a goal is missed when median and quartiles break it', () => {
  assert.equal(verdict([0.5, 1.1, 1.2, 1.3, 1.4]), 'missed');
  assert.equal(verdict([1.001, 1.001, 1.001, 1.001, 1.001]), 'missed');
});

test('rounds that contradict each other about the goal are inconclusive', () => {
  assert.equal(verdict([0.8, 0.9, 0.95, 1.1, 1.2]), 'inconclusive');
  assert.equal(verdict([0.8, 0.9, 1.05, 1.1, 1.2]), 'inconclusive');
});

test('"at least" is the other way round', () => {
  assert.equal(verdict([2, 2, 3, 3, 3], { sense: 'at least', limit: 2 }), 'reached');
  assert.equal(verdict([1, 1, 1, 1, 3], { sense: 'at least', limit: 2 }), 'missed');
  assert.equal(verdict([1, 1, 3, 3, 3], { sense: 'at least', limit: 2 }), 'inconclusive');
});

test('a null test judges the median against its tolerance, on both sides', () => {
  const against = { sense: 'within', tolerance: 0.03 } as const;
  assert.equal(verdict([0.9, 1.02, 1.02, 1.02, 1.2], against), 'reached');
  assert.equal(verdict([1.04, 1.04, 1.04, 1.04, 1.04], against), 'missed');
  assert.equal(verdict([0.96, 0.96, 0.96, 0.96, 0.96], against), 'missed');
});

test('too few rounds, a doubt, or no finite value decide nothing', () => {
  const few = Array.from({ length: ROUNDS_MIN - 1 }, () => 0.5);
  assert.equal(verdict(few), 'inconclusive');
  assert.equal(verdict([...few, 0.5]), 'reached');
  assert.equal(verdict([...few, Number.NaN]), 'inconclusive');
  assert.equal(verdict([...few, 0.5], { doubt: 'overloaded' }), 'inconclusive');
  assert.equal(verdict([]), 'inconclusive');
});

test('the exit code is 1 for a miss, otherwise 3 for a doubt, otherwise 0', () => {
  assert.equal(exitCode(['reached', 'inconclusive', 'missed']), 1);
  assert.equal(exitCode(['reached', 'inconclusive']), 3);
  assert.equal(exitCode(['reached', 'reached']), 0);
  assert.equal(exitCode([]), 0);
});
