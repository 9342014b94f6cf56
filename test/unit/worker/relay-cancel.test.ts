import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FakeExchange } from '../../support/fake-transport.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const phases: readonly (readonly [name: string, play: (e: FakeExchange) => unknown])[] = [
  ['connecting', () => {}],
  ['waiting for the head', (e) => e.sent()],
  ['waiting for the first delta', (e) => e.sent().head()],
  ['reading a refusal', (e) => e.sent().head(500).bytes('{')],
  ['streaming', (e) => e.sent().head().say('x')],
  ['waiting for the marker', (e) => e.sent().head().say('x').stop()],
];

const responseId = (r: Rig, turn: number) => {
  const response = r.events(turn)[0]['response'] as { id: string };
  return response.id;
};

describe('a cancelled turn', () => {
  for (const [name, play] of phases) {
    test(`while ${name}: the socket closes at once, one end, the lane goes on`, async () => {
      const r = rig();
      r.open(1);
      const turn = r.ask(1);
      const behind = r.ask(1);
      await r.settle();
      const { last } = r.transport;
      play(last);
      await r.settle();
      const cancel = r.send(1, { type: 'response.cancel', response_id: responseId(r, turn) });
      await r.settle();
      assert.equal(last.cancelled, true);
      assert.equal(r.end(turn).type, 'response.incomplete');
      assert.deepEqual(r.settled, [cancel], 'the cancel itself is settled');
      assert.equal(r.transport.exchanges.length, 2, 'the next turn of the lane runs');
      r.transport.last.answer('next');
      await r.settle();
      assert.equal(r.end(behind).type, 'response.completed');
      assert.deepEqual(r.outcomes(0)[2] + r.outcomes(1)[2], 0, 'no upstream is blamed');
      assert.equal(r.count('millrace_streams_ended_total', 2), 1);
      r.assertIdle();
    });
  }

  test('while it waits in its lane: it never runs', async () => {
    const r = rig();
    r.open(1);
    const running = r.ask(1);
    const waiting = r.ask(1);
    await r.settle();
    r.send(1, { type: 'response.cancel' });
    await r.settle();
    assert.equal(r.transport.exchanges.length, 1);
    r.end(running);
    assert.equal(r.end(waiting).code, 'cancelled');
    r.assertIdle();
  });

  test('while it waits to try again: no further attempt', async () => {
    const r = rig({ options: { upstreams: [{ name: 'one', url: 'http://one.test' }] } });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
    await r.settle();
    r.send(1, { type: 'response.cancel', response_id: responseId(r, turn) });
    await r.pass(5000);
    assert.equal(r.end(turn).type, 'response.incomplete');
    assert.equal(r.transport.exchanges.length, 1);
    r.assertIdle();
  });

  test('a lane is cancelled as a whole, and only that lane', async () => {
    const r = rig();
    r.open(1);
    const a = [r.ask(1, { stream_id: 'a' }), r.ask(1, { stream_id: 'a' })];
    const b = r.ask(1, { stream_id: 'b' });
    await r.settle();
    r.send(1, { type: 'response.cancel', stream_id: 'a' });
    await r.settle();
    for (const turn of a) r.end(turn);
    assert.equal(r.hasEnd(b), false);
    r.transport.exchanges[1].answer('b');
    await r.settle();
    assert.equal(r.end(b).type, 'response.completed');
    r.assertIdle();
  });

  test('nothing to cancel is said so', async () => {
    const r = rig();
    r.open(1);
    const cancel = r.send(1, { type: 'response.cancel', response_id: 'resp_unknown' });
    await r.settle();
    assert.equal(r.end(cancel).code, 'response_not_found');
  });

  test('a session that left: everything stops, nothing is written, all is given back', async () => {
    const r = rig({
      options: {
        session: { runningRequestsMax: 2 },
        upstreams: [{ name: 'one', url: 'http://one.test' }],
      },
    });
    r.open(1);
    for (const lane of ['a', 'b', 'c']) r.ask(1, { stream_id: lane });
    await r.settle();
    r.transport.exchanges[0].sent().head().say('x');
    await r.settle();
    const before = r.frames.length;
    r.leave(1);
    await r.settle();
    assert.ok(r.transport.exchanges.every(({ cancelled }) => cancelled));
    assert.equal(r.frames.length, before);
    await r.pass(200_000);
    r.assertIdle();
  });
});
