import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelAllowed } from '../../../src/policy/rights.ts';

test('a model is allowed by its name, or by the beginning that a star stands behind', () => {
  const models = ['gpt-4', 'small-*', '__proto__'];
  for (const model of ['gpt-4', 'small-', 'small-x', '__proto__'])
    assert.ok(modelAllowed(models, model), model);
  for (const model of [
    '',
    'gpt-4o',
    'gpt-',
    'small',
    'Small-x',
    'constructor',
    'small-*'.slice(0, 5),
  ])
    assert.ok(!modelAllowed(models, model), model);
});

test('without a list every model is allowed, with an empty one none', () => {
  assert.ok(modelAllowed(undefined, 'any'));
  assert.ok(!modelAllowed([], 'any'));
  assert.ok(modelAllowed(['*'], 'any'));
});
