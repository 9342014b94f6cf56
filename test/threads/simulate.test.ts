import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FromSimulate, spawnSimulated } from '../../src/threads/spawn.ts';
import { until } from '../support/until.ts';

const demo = (name: string, seed: number) => ({
  name,
  seed,
  tokensPerSecond: 2000,
  firstTokenMs: 5,
});

test('the simulated upstreams run on a thread of their own and end when asked to', async () => {
  const thread = spawnSimulated({ servers: [demo('demo-1', 1), demo('demo-2', 2)] });
  let first: FromSimulate | undefined;
  thread.channel.listen((message) => {
    first ??= message;
  });
  await until(() => first, 'the thread is ready');
  assert.ok(first?.type === 'ready');
  assert.equal(first.urls.length, 2);
  for (const [index, url] of first.urls.entries()) {
    const response = await fetch(`${url}/models`);
    assert.equal(response.headers.get('x-simulated'), `demo-${index + 1}`);
    await response.arrayBuffer();
  }
  thread.channel.post({ type: 'stop' });
  assert.equal(await thread.gone, 'exited with code 0');
});

test('a simulated upstream that cannot start says why', async () => {
  const thread = spawnSimulated({ servers: [{ ...demo('demo-1', 1), tokensPerSecond: 0 }] });
  let first: FromSimulate | undefined;
  thread.channel.listen((message) => {
    first ??= message;
  });
  await until(() => first, 'an answer');
  assert.ok(first?.type === 'failed');
  assert.equal(first.error.code, 'MILLRACE_FIELD_INVALID');
  await thread.end();
});
