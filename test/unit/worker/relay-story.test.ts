/** What a stream says of itself at its end: times, gaps, pauses, attempts, and its place in a trace. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamEnded } from '../../../src/threads/facts.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const context = { traceId: TRACE, parentId: PARENT, flags: 1, state: 'vendor=1' };

function ended(r: Rig): StreamEnded {
  const found = r.parts.facts.filter((fact) => fact.fact === 'stream-ended');
  assert.equal(found.length, 1, 'one line for each stream');
  return found[0];
}

describe('the end of a stream', () => {
  test('tells when its attempt was sent, answered, first spoke, and how far its deltas were apart', async () => {
    const r = rig();
    r.open(1);
    r.ask(1, { stream_id: 'side' });
    await r.settle();
    const { last } = r.transport;
    await r.pass(10);
    last.sent();
    await r.pass(20);
    last.head();
    await r.pass(30);
    last.say('a');
    await r.pass(100);
    last.say('b', 'c');
    await r.pass(40);
    last.say('d');
    await r.pass(5);
    last.stop().done().end();
    await r.settle();
    const end = ended(r);
    assert.equal(end.lane, 'side');
    assert.equal(end.firstDeltaMs, 60);
    assert.equal(end.maxGapMs, 100);
    assert.equal(end.meanGapMs, 140 / 3);
    assert.equal(end.deltas, 4);
    assert.equal(end.durationMs, 205);
    assert.equal(end.pausedMs, 0);
    const [only] = end.tries;
    assert.deepEqual(
      [only.sentMs, only.headMs, only.firstMs, only.durationMs, only.outcome],
      [10, 30, 60, 205, 'finished'],
    );
    assert.equal(end.trace, undefined);
    assert.equal(last.request.headers['traceparent'], undefined);
  });

  test('counts its own pauses as pauses, not as gaps of the upstream', async () => {
    const r = rig({ options: { session: { creditBytes: 16 * 1024 } }, upstreams: 1 });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const { last } = r.transport;
    last.sent().head();
    r.granting = false;
    for (let guard = 0; !last.paused && guard < 1_000; guard += 1) {
      last.say('so many words. ');
      await r.settle();
    }
    await r.pass(700);
    r.granting = true;
    r.grant(1);
    await r.settle();
    await r.pass(30);
    last.say('x').stop().done().end();
    await r.settle();
    assert.ok(r.hasEnd(turn));
    const end = ended(r);
    assert.equal(end.pausedMs, 700);
    assert.equal(end.maxGapMs, 30);
  });

  test('names every attempt with its own outcome, also the one that a cancel cut off', async () => {
    const upstreams = ['one', 'two'].map((name) => ({ name, url: `http://${name}.test/v1` }));
    const r = rig({ options: { upstreams } });
    r.open(1);
    r.ask(1);
    await r.settle();
    await r.pass(7);
    r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
    await r.settle();
    r.transport.last.sent().head().say('a');
    await r.settle();
    r.send(1, { type: 'response.cancel' });
    await r.settle();
    const end = ended(r);
    assert.deepEqual(
      end.tries.map(({ upstream, outcome, startMs }) => [upstream, outcome, startMs]),
      [
        ['one', 'MILLRACE_UPSTREAM_REFUSED', 0],
        ['two', 'cancelled', 7],
      ],
    );
    assert.deepEqual([end.attempts, end.outcome, end.cause], [2, 'cancelled', 'asked']);
  });

  test('a client that left is another cause than one that asked', async () => {
    const r = rig();
    r.open(1);
    r.ask(1);
    await r.settle();
    r.leave(1);
    await r.settle();
    const end = ended(r);
    assert.deepEqual([end.outcome, end.cause, end.firstDeltaMs], ['cancelled', 'left', -1]);
  });

  test('a model name that a client made up is cut short', async () => {
    const r = rig({ options: { upstreams: [{ name: 'any', url: 'http://any.test/v1' }] } });
    r.open(1);
    r.ask(1, { model: 'm'.repeat(10_000) });
    await r.settle();
    r.transport.last.answer('ok');
    await r.settle();
    assert.equal(ended(r).model.length, 129);
  });
});

describe('a trace', () => {
  /** Every id another one. */
  function counting() {
    let n = 0;
    const r = rig();
    Object.assign(r.world.random, { fill: (bytes: Uint8Array) => void bytes.fill((n += 1)) });
    return r;
  }

  test('of the session reaches every attempt as a traceparent with a span of its own', async () => {
    const r = counting();
    r.open(1, 'responses', { trace: context });
    r.ask(1);
    await r.settle();
    const [first] = r.transport.exchanges;
    first.fail();
    await r.settle();
    const { last } = r.transport;
    last.answer('ok');
    await r.settle();
    const end = ended(r);
    assert.equal(end.trace?.traceId, TRACE);
    assert.equal(end.trace?.parentId, PARENT);
    const told = [first, last].map(({ request }) => request.headers['traceparent']);
    assert.deepEqual(
      told,
      end.tries.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
    );
    assert.notEqual(told[0], told[1]);
    assert.ok(!told.some((header) => header?.includes(end.trace?.spanId ?? '?')));
    assert.equal(last.request.headers['tracestate'], 'vendor=1');
  });

  test('of the message wins over that of its session', async () => {
    const r = counting();
    r.open(1, 'responses', { trace: context });
    const own = 'ffffffffffffffffffffffffffffffff';
    const traceparent = `00-${own}-${PARENT}-00`;
    r.ask(1, { client_metadata: { ws_request_header_traceparent: traceparent } });
    await r.settle();
    r.transport.last.answer('ok');
    await r.settle();
    assert.equal(ended(r).trace?.traceId, own);
    assert.match(r.transport.last.request.headers['traceparent'], /^00-f{32}-[0-9a-f]{16}-00$/);
    assert.equal(r.transport.last.request.headers['tracestate'], undefined);
  });

  test('of the chat’s message is read, and a broken one is none', async () => {
    for (const [traceparent, expected] of [
      [`00-${TRACE}-${PARENT}-01`, TRACE],
      [`00-${TRACE}-${PARENT}-01x`, undefined],
      [{ not: 'text' }, undefined],
    ]) {
      const r = counting();
      r.open(1, 'chat');
      r.send(1, { message: 'hi', metadata: { traceparent } });
      await r.settle();
      r.transport.last.answer('ok');
      await r.settle();
      assert.equal(ended(r).trace?.traceId, expected);
    }
  });

  for (const [propagate, came, goes] of [
    ['never', true, false],
    ['incoming', false, false],
    ['always', false, true],
  ] as const) {
    test(`propagate ${propagate}: a stream ${came ? 'with' : 'without'} a trace tells its upstream ${goes ? 'one' : 'none'}`, async () => {
      const upstreams = [{ name: 'one', url: 'http://one.test/v1' }];
      const r = rig({ options: { upstreams, observe: { propagate } } });
      r.open(1, 'responses', came ? { trace: context } : {});
      r.ask(1);
      await r.settle();
      r.transport.last.answer('ok');
      await r.settle();
      const header = r.transport.last.request.headers['traceparent'];
      assert.equal(header !== undefined, goes);
      assert.equal(ended(r).trace !== undefined, came || goes, 'lines know it all the same');
    });
  }
});
