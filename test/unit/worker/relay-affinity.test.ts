/** A response is continued where it was made, as long as that upstream can take it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const upstreams = ['one', 'two', 'three'].map((name) => ({
  name,
  url: `http://${name}.test/v1`,
  models: ['demo'],
}));

/** One turn; says who answered and how the response is called. */
async function turn(r: Rig, previous?: string): Promise<{ at: string; id: string }> {
  const stream = r.ask(1, previous === undefined ? {} : { previous_response_id: previous });
  await r.settle();
  const { last } = r.transport;
  last.answer('well');
  await r.settle();
  assert.equal(r.end(stream).type, 'response.completed');
  const event = r.events(stream).at(-1) as unknown as { response: { id: string } };
  return { at: last.upstream, id: event.response.id };
}

test('turns that continue each other stay at one upstream; others go on round', async () => {
  const r = rig({ options: { upstreams } });
  r.open(1);
  const first = await turn(r);
  let { id } = first;
  for (let n = 0; n < 5; n++) {
    const next = await turn(r, id);
    assert.equal(next.at, first.at);
    id = next.id;
  }
  const others = [await turn(r), await turn(r), await turn(r)].map(({ at }) => at);
  assert.equal(new Set(others).size, 3);
  assert.equal((await turn(r, first.id)).at, first.at, 'an older one too');
  r.assertIdle();
});

test('where its upstream cannot take it, another one continues it, and has it from then on', async () => {
  const r = rig({ options: { upstreams } });
  r.open(1);
  const first = await turn(r);
  const row = upstreams.findIndex(({ name }) => name === first.at);
  r.parts.table.set(row, UpstreamWord.drained, 1);
  const moved = await turn(r, first.id);
  assert.notEqual(moved.at, first.at);
  r.parts.table.set(row, UpstreamWord.drained, 0);
  assert.equal((await turn(r, moved.id)).at, moved.at);
  assert.equal((await turn(r, first.id)).at, first.at);
  r.assertIdle();
});

test('when its upstream fails, another one is asked at once', async () => {
  const r = rig({ options: { upstreams } });
  r.open(1);
  const first = await turn(r);
  const stream = r.ask(1, { previous_response_id: first.id });
  await r.settle();
  assert.equal(r.transport.last.upstream, first.at);
  r.transport.last.head(500).end();
  await r.settle();
  assert.notEqual(r.transport.last.upstream, first.at);
  r.transport.last.answer('well');
  await r.settle();
  assert.equal(r.end(stream).type, 'response.completed');
  r.assertIdle();
});
