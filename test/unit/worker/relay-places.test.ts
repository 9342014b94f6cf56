/** Places at upstreams: who gets one, who waits and for how long, and how a pool grows when it is needed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const upstreams = (count: number, more: object = {}) =>
  ['one', 'two', 'three']
    .slice(0, count)
    .map((name) => ({ name, url: `http://${name}.test/v1`, models: ['demo'], ...more }));

const full = (more: object = {}) =>
  rig({ options: { upstreams: upstreams(1, { maxConnections: 1 }), ...more } });

/** Ends what runs and lets the next begin. */
async function finish(r: Rig, text = 'x'): Promise<void> {
  r.transport.exchanges.findLast(({ live }) => live)?.answer(text);
  await r.settle();
}

describe('a stream that finds no room', () => {
  test('waits, and goes as soon as a place comes free, in the order of asking', async () => {
    const r = full();
    r.open(1);
    const turns = ['a', 'b', 'c'].map((lane) => r.ask(1, { stream_id: lane }));
    await r.settle();
    assert.equal(r.transport.exchanges.length, 1);
    for (const turn of turns) {
      await finish(r);
      assert.equal(r.end(turn).type, 'response.completed');
    }
    assert.deepEqual(r.inFlight(), [0]);
    r.assertIdle();
  });

  test('goes when another worker gives a place back', async () => {
    const r = full();
    r.open(1);
    r.parts.table.claim(1, 7);
    r.parts.table.acquire(0, 1);
    const turn = r.ask(1);
    await r.pass(200);
    assert.equal(r.transport.exchanges.length, 0);
    r.parts.table.release(0, 1, true);
    await r.pass(20);
    await finish(r);
    assert.equal(r.end(turn).type, 'response.completed');
  });

  test('goes when a cooldown ends', async () => {
    const r = full();
    r.open(1);
    const until = (r.world.clock.wall() + 300) | 0;
    r.parts.table.set(0, UpstreamWord.cooldownUntil, until);
    const turn = r.ask(1);
    await r.pass(250);
    assert.equal(r.transport.exchanges.length, 0);
    await r.pass(70);
    await finish(r);
    assert.equal(r.end(turn).type, 'response.completed');
  });

  test('waits no longer than allowed, and then says that all are busy', async () => {
    const r = full({ pool: { waitTimeoutMs: 500 } });
    r.open(1);
    r.ask(1, { stream_id: 'a' });
    await r.settle();
    const late = r.ask(1, { stream_id: 'b' });
    await r.pass(490);
    assert.equal(r.hasEnd(late), false);
    await r.pass(20);
    assert.equal(r.end(late).code, 'upstream_busy');
    await finish(r);
    r.assertIdle();
  });

  test('is refused at once when the line is full, or when nobody may wait', async () => {
    for (const pool of [{ waitersMax: 1 }, { waitTimeoutMs: 0 }]) {
      const r = full({ pool });
      r.open(1);
      const turns = ['a', 'b', 'c'].map((lane) => r.ask(1, { stream_id: lane }));
      await r.settle();
      assert.equal(r.end(turns[2]).code, 'upstream_busy');
    }
  });

  test('that is cancelled, or whose client leaves, stands in nobody’s way', async () => {
    const r = full();
    for (const slot of [1, 2, 3]) r.open(slot);
    r.ask(1);
    await r.settle();
    r.ask(2);
    await r.settle();
    const third = r.ask(3);
    await r.settle();
    r.leave(2);
    await r.settle();
    await finish(r);
    assert.equal(r.transport.exchanges.length, 2);
    await finish(r);
    assert.equal(r.end(third).type, 'response.completed');
    r.assertIdle();
  });

  test('is not overtaken by one that comes when a place is free again', async () => {
    const r = full();
    r.open(1);
    r.parts.table.claim(1, 7);
    r.parts.table.acquire(0, 1);
    r.ask(1, { stream_id: 'first', input: 'first' });
    await r.settle();
    r.parts.table.release(0, 1, true);
    r.ask(1, { stream_id: 'second', input: 'second' });
    await r.pass(20);
    assert.match(r.transport.exchanges[0].request.body, /"first"/);
  });
});

describe('a pool', () => {
  const pooled = (size: number, more: object = {}) => {
    const r = rig({ options: { upstreams: upstreams(1, { maxConnections: 10 }), ...more } });
    r.parts.table.set(0, UpstreamWord.capacity, size);
    r.open(1);
    return r;
  };
  const size = (r: Rig) => r.parts.table.get(0, UpstreamWord.capacity);

  test('grows with the streams that come, so that none of them waits, up to its most', async () => {
    const r = pooled(2);
    for (let n = 0; n < 12; n++) r.ask(1, { stream_id: `s${n}` });
    await r.settle();
    assert.equal(r.transport.exchanges.length, 10);
    assert.equal(size(r), 10);
  });

  test('does not grow for a load that it carries', async () => {
    const r = pooled(10);
    r.ask(1);
    await r.settle();
    assert.equal(size(r), 10);
  });

  test('stays as it is where scaling is off', async () => {
    const r = pooled(2, { pool: { enableAutoScaling: false } });
    for (let n = 0; n < 4; n++) r.ask(1, { stream_id: `s${n}` });
    await r.settle();
    assert.deepEqual([r.transport.exchanges.length, size(r)], [2, 2]);
  });
});
