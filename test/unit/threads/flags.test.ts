import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { threadFlags } from '../../../src/threads/flags.ts';

const usual = ['--max-old-space-size=100', '--expose-gc', '--title=x', '--enable-source-maps'];

test('threads inherit every flag, and are told none', () => {
  assert.deepEqual(threadFlags(usual), {});
  assert.deepEqual(threadFlags([]), {});
});

test('of a program given as text, threads get the flags that a thread may be given', () => {
  const flags = [
    '--import=data:text/javascript,1',
    ...usual,
    '--input-type=module',
    '--no-warnings',
  ];
  assert.deepEqual(threadFlags(flags), {
    execArgv: ['--import=data:text/javascript,1', '--enable-source-maps', '--no-warnings'],
  });
  assert.deepEqual(threadFlags(['--input-type', 'module', '--trace-exit']), {
    execArgv: ['--trace-exit'],
  });
});

test('a thread starts with what is kept', async () => {
  const flags = ['--input-type=module', ...usual, '--no-warnings', '--trace-uncaught'];
  const thread = new Worker('', { eval: true, ...threadFlags(flags) });
  const [code] = (await once(thread, 'exit')) as [number];
  assert.equal(code, 0);
});
