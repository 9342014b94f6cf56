import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paths } from '../../../src/main/paths.ts';

const paths = () => new Paths({ responses: '/v1/responses', echo: '/ws' });

test('configured paths and claimed ones say what they speak; others nothing', () => {
  const table = paths();
  table.claim('/mine', 'socket');
  assert.equal(table.dialectOf('/mine'), 'socket');
  assert.equal(table.dialectOf('/ws'), 'echo');
  assert.equal(table.dialectOf('/mine/'), undefined);
  assert.equal(table.dialectOf('__proto__'), undefined);
});

test('a path is claimed once, whoever holds it', () => {
  const table = paths();
  const taken = { code: 'MILLRACE_PATH_TAKEN', details: { path: '/ws', holder: 'echo' } };
  assert.throws(() => table.claim('/ws', 'socket'), taken);
  table.claim('/mine', 'socket');
  assert.throws(() => table.claim('/mine', 'socket'), { code: 'MILLRACE_PATH_TAKEN' });
});

for (const path of ['', 'mine', '/a?b', '/a#b', '/a b', '/a\n', undefined, 1])
  test(`the path ${JSON.stringify(path)} is refused`, () => {
    assert.throws(() => paths().claim(path as string, 'socket'), { code: 'MILLRACE_PATH_INVALID' });
  });
