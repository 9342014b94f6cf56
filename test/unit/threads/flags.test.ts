import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadFlags } from '../../../src/threads/flags.ts';

test('threads inherit every flag but the one about programs given as text', () => {
  assert.deepEqual(threadFlags(['--enable-source-maps', '--input-type=module', '--no-warnings']), [
    '--enable-source-maps',
    '--no-warnings',
  ]);
  assert.deepEqual(threadFlags(['--input-type', 'module', '--trace-exit']), ['--trace-exit']);
  assert.deepEqual(threadFlags([]), []);
});
