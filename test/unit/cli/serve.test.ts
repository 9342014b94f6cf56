/** Goal: what signals do to a running engine. Method: an engine of promises and a made-up source of signals. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { serve } from '../../../src/cli/serve.ts';
import { MillraceError } from '../../../src/errors.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';
import { until } from '../../support/until.ts';

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function setting() {
  const listening = deferred<{ url: string }>();
  const closing = deferred<void>();
  const signals = new EventEmitter();
  const seen: string[] = [];
  const lines: object[] = [];
  const line = (facts: object, text: string) => {
    seen.push((facts as { event: string }).event);
    lines.push({ ...facts, text });
  };
  const read: { updates: number; broken?: Error } = { updates: 0 };
  const served = serve({
    engine: {
      listen: () => listening.promise,
      update: async () => {
        read.updates++;
        return ['stream.gapTimeoutMs 1 → 2'];
      },
      close: (options) => {
        seen.push(`close drain=${options?.drain}`);
        return closing.promise;
      },
    },
    log: { debug: line, info: line, warn: line, error: line },
    signals,
    resolveAgain: () => {
      if (read.broken) throw read.broken;
      return resolveOptions();
    },
    exit: (code) => void seen.push(`exit ${code}`),
    onListening: (url) => void seen.push(url),
  });
  return { listening, closing, signals, seen, served, lines, read };
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} lets running streams finish and ends with 0`, async () => {
    const { listening, closing, signals, seen, served } = setting();
    listening.resolve({ url: 'ws://a:1' });
    await until(() => seen.includes('ws://a:1'), 'the address');
    signals.emit(signal, signal);
    await until(() => seen.includes('close drain=true'), 'the close');
    closing.resolve();
    assert.equal(await served, 0);
    assert.deepEqual(seen, ['ws://a:1', 'stopping', 'close drain=true', 'stopped']);
    assert.equal(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGHUP'), 0);
  });
}

test('a second signal ends at once with 1', async () => {
  const { listening, closing, signals, seen, served } = setting();
  listening.resolve({ url: 'ws://a:1' });
  await until(() => seen.includes('ws://a:1'), 'the address');
  signals.emit('SIGTERM', 'SIGTERM');
  signals.emit('SIGINT', 'SIGINT');
  assert.deepEqual(seen.slice(1), ['stopping', 'cut-off', 'exit 1']);
  closing.resolve();
  await served;
});

test('SIGHUP reads the configuration again: one line says what changed, or why nothing did; signals meanwhile are one', async () => {
  const world = setting();
  const { listening, closing, signals, seen, served, lines } = world;
  listening.resolve({ url: 'ws://a:1' });
  await until(() => seen.includes('ws://a:1'), 'the address');
  for (let n = 0; n < 4; n++) signals.emit('SIGHUP', 'SIGHUP');
  await until(() => seen.filter((each) => each === 'reloaded').length === 2, 'two readings');
  const changes = ['stream.gapTimeoutMs 1 → 2'];
  const text = 'configuration read again: stream.gapTimeoutMs 1 → 2';
  assert.deepEqual(lines.slice(-1), [{ event: 'reloaded', changes, text }]);
  world.read.broken = new MillraceError('MILLRACE_OPTION_INVALID', { problems: 'one\ntwo' });
  signals.emit('SIGHUP', 'SIGHUP');
  await until(() => seen.includes('reload-refused'), 'the refusal');
  assert.deepEqual(lines.slice(-1), [
    {
      event: 'reload-refused',
      code: 'MILLRACE_OPTION_INVALID',
      problems: ['one', 'two'],
      text: 'configuration unchanged: one; two',
    },
  ]);
  assert.equal(world.read.updates, 2);
  signals.emit('SIGTERM', 'SIGTERM');
  closing.resolve();
  assert.equal(await served, 0);
});

test('a signal during the start is obeyed after it', async () => {
  const { listening, closing, signals, seen, served } = setting();
  signals.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual(seen, ['stopping']);
  listening.resolve({ url: 'ws://a:1' });
  closing.resolve();
  assert.equal(await served, 0);
  assert.deepEqual(seen, ['stopping', 'close drain=true', 'stopped']);
});

test('a failed start rejects and leaves no handler behind', async () => {
  const { listening, signals, served } = setting();
  listening.reject(new Error('taken'));
  await assert.rejects(served, /taken/);
  assert.equal(signals.eventNames().length, 0);
});
