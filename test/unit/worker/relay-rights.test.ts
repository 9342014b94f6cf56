import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rig } from '../../support/relay-rig.ts';

const upstreams = [
  { name: 'one', url: 'http://one.test/v1', models: ['demo', 'secret', 'demo-large'] },
];

test('a session asks for no model that its key does not allow, and hears of none', async () => {
  const relay = rig({ options: { upstreams } });
  relay.open(1, 'responses', { rights: { models: ['demo'] } });
  const refused = relay.ask(1, { model: 'secret' });
  const unknown = relay.ask(1, { model: 'never-was' });
  await relay.settle();
  assert.equal(relay.end(refused).code, 'model_not_found');
  const said = [refused, unknown].map((stream) =>
    JSON.stringify(relay.events(stream)).replaceAll(/secret|never-was/g, 'M'),
  );
  const ids = (text: string) => text.replaceAll(/"(event_id|sequence_number)":[^,}]*/g, '');
  assert.equal(ids(said[0]), ids(said[1]), 'forbidden and unknown models are told alike');
  assert.match(said[0], /Available: demo\./);
  assert.ok(!said.join('').includes('demo-large'));
  assert.equal(relay.transport.exchanges.length, 0, 'nothing was asked upstream');
  relay.ask(1, { model: 'demo' });
  await relay.settle();
  assert.equal(relay.transport.exchanges.length, 1);
});

test('a hand-written page that names no model gets the first one its key allows', async () => {
  const relay = rig({ options: { upstreams } });
  relay.open(1, 'chat', { rights: { models: ['demo-*'] } });
  relay.send(1, { message: 'hi' });
  await relay.settle();
  assert.equal(relay.transport.exchanges.length, 1);
  assert.match(relay.transport.exchanges[0].request.body, /"model":"demo-large"/);
});

test('the end of a stream is told with the name of its key', async () => {
  const relay = rig({ options: { upstreams } });
  relay.open(1, 'responses', { keyName: 'team' });
  relay.ask(1);
  await relay.settle();
  relay.send(1, { type: 'response.cancel' });
  await relay.settle();
  const ended = relay.parts.facts.find(({ fact }) => fact === 'stream-ended');
  assert.equal((ended as { keyName?: string } | undefined)?.keyName, 'team');
});
