/** Trace points: a whole request over the channels, and nothing without subscribers. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { channels, type Point } from '../../../src/observe/channels.ts';
import { rig } from '../../support/relay-rig.ts';

test('a worker tells each step of a request in order, with bytes and upstream', async () => {
  const heard: (Point & { channel: string })[] = [];
  const listener = (message: unknown, name: string | symbol) =>
    void heard.push({ channel: String(name), ...(message as Point) });
  const names = ['millrace:route', 'millrace:stream', 'millrace:chunk'];
  for (const name of names) subscribe(name, listener);
  const r = rig();
  r.open(1);
  const turn = r.ask(1);
  await r.settle();
  r.transport.exchanges[0].sent().fail();
  await r.settle();
  r.transport.last.answer('ok');
  await r.settle();
  for (const name of names) unsubscribe(name, listener);
  const steps = heard.map(({ channel, step, upstream = '' }) =>
    `${channel.slice('millrace:'.length)} ${step} ${String(upstream)}`.trim(),
  );
  const frames = r.of(turn).length;
  assert.equal(steps.filter((step) => step === 'chunk frame').length, frames);
  assert.deepEqual(
    steps.filter((step) => step !== 'chunk frame' && !step.startsWith('stream data')),
    [
      'route received',
      'route picked one',
      'stream connect one',
      'stream sent one',
      'stream failed one',
      'route picked two',
      'stream connect two',
      'stream sent two',
      'stream head two',
    ],
  );
  assert.ok(steps.includes('stream data two'));
  assert.ok(heard.every(({ session, stream }) => session === 1 && stream === turn));
  const bytes = heard
    .filter(({ channel }) => channel === 'millrace:chunk')
    .reduce((sum, point) => sum + Number(point['bytes']), 0);
  assert.equal(
    bytes,
    r.of(turn).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0),
  );
});

test('there is a channel for every stage and every kind of end, silent by default', () => {
  assert.deepEqual(Object.keys(channels), [
    'accept',
    'admit',
    'route',
    'stream',
    'chunk',
    'compress',
    'deliver',
    'stream:end',
    'session:end',
  ]);
  assert.ok(Object.values(channels).every(({ hasSubscribers }) => !hasSubscribers));
});
