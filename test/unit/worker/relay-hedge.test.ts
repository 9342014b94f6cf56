/** A second attempt beside one whose first delta is late: the first with content answers, the other is closed, and both are left once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Kind } from '../../../src/memory/layout.ts';
import { rig } from '../../support/relay-rig.ts';

async function racing(more: object = {}, upstreams = 2) {
  const r = rig({
    upstreams,
    options: { ...optionsFor(upstreams), stream: { hedgeAfterMs: 200, ...more } },
  });
  r.open(1);
  const turn = r.ask(1);
  await r.settle();
  const [first] = r.transport.exchanges;
  first.sent().head();
  return { r, turn, first };
}

const optionsFor = (count: number) => ({
  upstreams: ['one', 'two', 'three']
    .slice(0, count)
    .map((name) => ({ name, url: `http://${name}.test/v1` })),
});

describe('when the first delta is late', () => {
  test('a second upstream is asked; whoever has content first answers, and the other socket is closed at once', async () => {
    for (const winner of [0, 1]) {
      const { r, turn, first } = await racing();
      await r.pass(150);
      assert.equal(r.transport.exchanges.length, 1, 'not before its time');
      await r.pass(60);
      const [, second] = r.transport.exchanges;
      assert.equal(second.upstream, 'two');
      assert.deepEqual(r.inFlight(), [1, 1]);
      second.sent().head();
      // An opener is no content.
      second.bytes(
        'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}\n\n',
      );
      await r.settle();
      assert.ok(first.live && second.live);
      const [won, lost] = winner === 0 ? [first, second] : [second, first];
      won.say('mine');
      assert.equal(lost.cancelled, true, 'within the same turn of the loop');
      lost.say('too late');
      won.say(' alone').stop().done().end();
      await r.settle();
      assert.equal(r.end(turn).type, 'response.completed');
      assert.equal(r.text(turn), 'mine alone');
      const { response } = r.events(turn).at(-1) as unknown as {
        response: { x_millrace: { upstream: string; attempts: number } };
      };
      assert.equal(response.x_millrace.upstream, won.upstream, 'the last frame says who answered');
      assert.deepEqual([r.outcomes(0)[0], r.outcomes(1)[0]], [1, 1], 'each place once');
      assert.deepEqual([r.outcomes(0)[2], r.outcomes(1)[2]], [0, 0], 'a lost race is no failure');
      assert.equal(r.count('millrace_hedges_total'), 1);
      assert.equal(r.count('millrace_hedges_won_total'), winner);
      assert.equal(r.count('millrace_failovers_total'), 0);
      r.assertIdle();
    }
  });

  test('an answer without content wins too', async () => {
    const { r, turn, first } = await racing();
    await r.pass(210);
    r.transport.last.sent().head().stop().done().end();
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    assert.equal(first.cancelled, true);
    r.assertIdle();
  });

  test('one of the two fails: the other goes on; both fail: what follows is as ever', async () => {
    const { r, turn, first } = await racing({}, 3);
    await r.pass(210);
    const [, second] = r.transport.exchanges;
    first.fail();
    await r.settle();
    assert.equal(r.transport.exchanges.length, 2, 'nobody else is asked while one still runs');
    second.sent().fail();
    await r.settle();
    const asked = r.transport.exchanges.map(({ upstream }) => upstream);
    assert.deepEqual(asked.toSorted(), ['one', 'three', 'two']);
    r.transport.last.answer('third');
    await r.settle();
    assert.equal(r.text(turn), 'third');
    const failures = asked.map((name) => r.outcomes(['one', 'two', 'three'].indexOf(name))[2]);
    assert.deepEqual(failures, [1, 1, 0]);
    r.assertIdle();
  });

  test('a request that one of them rightly refuses ends both', async () => {
    const { r, turn, first } = await racing();
    await r.pass(210);
    r.transport.last.sent().head(400).bytes('{"error":{"message":"no"}}').end();
    await r.settle();
    assert.equal(r.end(turn).code, 'upstream_rejected');
    assert.equal(first.cancelled, true);
    r.assertIdle();
  });

  test('cancel, a stopping worker and the deadline close both', async () => {
    for (const how of ['cancel', 'stop', 'deadline']) {
      const { r, turn } = await racing({ deadlineMs: 1000 });
      await r.pass(210);
      assert.equal(r.transport.sockets, 2);
      if (how === 'cancel') r.send(1, { type: 'response.cancel' });
      else if (how === 'stop') r.order(Kind.stop);
      else await r.pass(1000);
      await r.settle();
      assert.ok(r.hasEnd(turn), how);
      r.assertIdle();
    }
  });

  test('nobody is asked twice: one upstream has no second', async () => {
    const { r, first } = await racing({}, 1);
    await r.pass(1000);
    assert.equal(r.transport.exchanges.length, 1);
    first.say('late').stop().done().end();
    await r.settle();
    r.assertIdle();
  });

  test('few at once: one of many streams, and the next when that one is decided', async () => {
    const { r } = await racing({ hedgeShareMax: 0 });
    for (let lane = 0; lane < 5; lane += 1) r.ask(1, { stream_id: `l${lane}` });
    await r.pass(300);
    assert.equal(r.count('millrace_hedges_total'), 1);
    for (const exchange of r.transport.exchanges)
      exchange.sent().head().say('x').stop().done().end();
    await r.settle();
    r.ask(1);
    await r.pass(300);
    assert.equal(r.count('millrace_hedges_total'), 2);
    for (const exchange of r.transport.exchanges)
      exchange.sent().head().say('x').stop().done().end();
    await r.settle();
    r.assertIdle();
  });
});

test('without the option nothing is asked twice', async () => {
  const { r, first } = await racing({ hedgeAfterMs: 0 });
  await r.pass(2000);
  assert.equal(r.transport.exchanges.length, 1);
  first.say('x').stop().done().end();
  await r.settle();
  r.assertIdle();
});
