import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import { WORKER_ROW } from '../../../src/threads/roster.ts';
import { rig, SESSION_GENERATION } from '../../support/relay-rig.ts';

describe('a turn', () => {
  test('openers at once, deltas as they come, one end; sequences, flags and counters agree', async () => {
    const r = rig();
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const openers = r.of(turn);
    assert.ok(openers.length >= 2);
    assert.ok(openers.every(({ flags }) => flags === Flag.opener));
    assert.equal(r.epitaphs.length, 1);
    assert.equal(r.epitaphs[0].after, 0, 'the epitaph precedes the openers');
    const { last } = r.transport;
    assert.equal(last.request.path, '/v1/chat/completions');
    last.sent().head().say('Hel');
    await r.settle();
    assert.equal(r.text(turn), 'Hel');
    last.say('lo', ' wor', 'ld');
    await r.settle();
    last.stop().done().end();
    await r.settle();
    assert.deepEqual(r.end(turn), { type: 'response.completed', code: undefined });
    assert.equal(r.text(turn), 'Hello world');
    const commits = r.of(turn).filter(({ flags }) => flags & Flag.commit);
    assert.equal(commits.length, 1);
    assert.equal(r.count('millrace_deltas_total'), 4);
    assert.equal(r.count('millrace_deltas_coalesced_total'), 2);
    assert.equal(r.count('millrace_streams_ended_total', 0), 1);
    assert.equal(r.count('millrace_streams_running'), 0);
    assert.deepEqual(r.outcomes(0), [1, 1, 0]);
    const ended = r.parts.facts.filter(({ fact }) => fact === 'stream-ended');
    assert.equal(ended.length, 1);
    assert.deepEqual(
      { ...ended[0], responseId: '' },
      {
        fact: 'stream-ended',
        session: 1,
        generation: SESSION_GENERATION,
        stream: turn,
        responseId: '',
        lane: '',
        principal: 'anonymous',
        dialect: 'responses',
        model: 'demo',
        upstream: 'one',
        provider: 'openai-chat',
        worker: 0,
        attempts: 1,
        tries: [
          {
            upstream: 'one',
            row: 0,
            provider: 'openai-chat',
            origin: 'http://one.test',
            outcome: 'finished',
            startMs: 0,
            sentMs: 0,
            headMs: 0,
            firstMs: 0,
            durationMs: 0,
          },
        ],
        outcome: 'finished',
        finishReason: 'stop',
        inputTokens: 0,
        cachedTokens: 0,
        outputTokens: 0,
        reasoningTokens: 0,
        frames: r.of(turn).length,
        bytes: r.of(turn).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0),
        deltas: 4,
        startedWallMs: 1_790_000_001_000,
        firstDeltaMs: 0,
        meanGapMs: 0,
        maxGapMs: 0,
        pausedMs: 0,
        durationMs: 0,
      },
    );
    r.assertIdle();
  });

  test('a message that the slab carries is read like any other, and its blocks are given back', async () => {
    const r = rig();
    r.open(1);
    const turn = r.send(
      1,
      { type: 'response.create', model: 'demo', input: 'x'.repeat(5000) },
      { ticket: true },
    );
    await r.settle();
    r.transport.last.answer('ok');
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    assert.ok(r.transport.last.request.body.includes('x'.repeat(5000)));
    r.assertIdle();
  });

  test('a frame too large for a record goes through the slab', async () => {
    const r = rig({
      options: { ...two, memory: { ringBytes: 65_536 }, session: { creditBytes: 1 << 20 } },
    });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const big = 'y'.repeat(40_000);
    r.transport.last.answer(big);
    await r.settle();
    assert.equal(r.text(turn), big);
    assert.ok(r.of(turn).some(({ flags }) => flags & Flag.ticket));
    r.assertIdle();
  });

  test('a finish reason makes the answer complete, even if the transport breaks behind it', async () => {
    const r = rig();
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.sent().head().say('all').stop().fail();
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('a finish reason without a marker ends after the grace, and the socket is closed', async () => {
    const r = rig({ options: { ...two, stream: { finishGraceMs: 200 } } });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.sent().head().say('all').stop();
    await r.pass(190);
    assert.equal(r.hasEnd(turn), false);
    await r.pass(20);
    assert.equal(r.end(turn).type, 'response.completed');
    assert.equal(r.transport.last.cancelled, true);
    r.assertIdle();
  });

  test('after the marker the body may still end for a while; then the socket is closed', async () => {
    for (const ends of [true, false]) {
      const r = rig({ options: { ...two, stream: { finishGraceMs: 200 } } });
      r.open(1);
      const turn = r.ask(1);
      await r.settle();
      const { last } = r.transport;
      last.sent().head().say('all');
      // In one read: no clock runs from before.
      const stop = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}';
      last.bytes(`data: ${stop}\n\ndata: [DONE]\n\n`);
      await r.settle();
      assert.equal(r.end(turn).type, 'response.completed');
      assert.deepEqual(r.inFlight(), [0, 0]);
      assert.equal(last.live, true);
      if (ends) last.end();
      await r.pass(300);
      assert.equal(last.cancelled, !ends);
      r.assertIdle();
    }
  });

  test('a rerun makes the same openers and sends only those the client has not', async () => {
    const first = rig();
    first.open(1);
    first.ask(1, {}, { nonce: 5 });
    await first.settle();
    const openers = first.of(5);
    const again = rig();
    again.open(1);
    again.ask(1, {}, { nonce: 5, skip: 1 });
    await again.settle();
    assert.deepEqual(again.of(5), openers.slice(1));
    again.transport.last.answer('x');
    await again.settle();
    assert.equal(again.end(5).type, 'response.completed');
    assert.equal(again.of(5)[0].sequence, 1);
  });

  test('openers may be held back until content comes, at most for openerHoldMs', async () => {
    const held = () => rig({ options: { ...two, stream: { openerHoldMs: 100 } } });
    const r = held();
    r.open(1);
    const turn = r.ask(1);
    await r.pass(50);
    assert.deepEqual(r.of(turn), []);
    r.transport.last.sent().head().say('x');
    await r.settle();
    assert.equal(r.text(turn), 'x');
    assert.equal(r.of(turn)[0].sequence, 0);
    const slow = held();
    slow.open(1);
    const waiting = slow.ask(1);
    await slow.pass(110);
    assert.ok(slow.of(waiting).length >= 2);
    slow.transport.last.answer('y');
    await slow.settle();
    assert.equal(slow.end(waiting).type, 'response.completed');
    slow.assertIdle();
  });

  test('an answer above outputBytesMax ends in one failure that keeps what was delivered', async () => {
    const r = rig({ options: { ...two, stream: { outputBytesMax: 1024 } } });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.sent().head().say('a'.repeat(1024));
    await r.settle();
    assert.equal(r.hasEnd(turn), false);
    r.transport.last.say('b');
    await r.settle();
    assert.deepEqual(r.end(turn), { type: 'response.failed', code: 'output_too_large' });
    assert.equal(r.transport.last.cancelled, true);
    r.assertIdle();
  });
});

describe('a worker', () => {
  test('shows that it lives, and writes nothing more once it is replaced', async () => {
    const r = rig({ options: { threads: { heartbeatMs: 50 } } });
    const { threads } = r.parts;
    const before = threads.beats(WORKER_ROW);
    await r.pass(500);
    assert.ok(threads.beats(WORKER_ROW) >= before + 9);
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const { last } = r.transport;
    last.sent().head().say('x');
    await r.settle();
    const frames = r.of(turn).length;
    // The next incarnation has the row, and one stream of its own there.
    const next = threads.renew(WORKER_ROW);
    const { table } = r.parts;
    table.claim(0, next);
    table.acquire(0, 0);
    const endedBefore = r.count('millrace_streams_ended_total', 2);
    last.say('y');
    await r.pass(100);
    assert.equal(r.of(turn).length, frames);
    assert.equal(last.cancelled, true);
    assert.equal(r.transport.closed, true);
    assert.deepEqual(r.inFlight(), [1, 0], 'what is the next one’s is left alone');
    assert.equal(r.count('millrace_streams_ended_total', 2), endedBefore);
    assert.equal(r.count('millrace_streams_running'), 1);
    await r.relay.stopped;
    assert.equal(r.world.timers, 0);
  });

  test('asked to stop, it fails what runs and what waits, closes sockets and returns', async () => {
    const r = rig({ options: { ...two, session: { runningRequestsMax: 1 } } });
    r.open(1);
    const running = r.ask(1);
    const waiting = r.ask(1);
    await r.settle();
    const { last } = r.transport;
    last.sent().head().say('x');
    await r.settle();
    r.order(Kind.stop);
    await r.settle();
    await r.relay.stopped;
    assert.deepEqual(r.end(running), { type: 'response.failed', code: 'draining' });
    assert.equal(r.end(waiting).code, 'draining');
    assert.equal(last.cancelled, true);
    assert.equal(r.transport.closed, true);
    assert.equal(r.world.timers, 0);
    r.assertIdle();
  });

  test('told to drain, it refuses new turns and finishes those that run or wait', async () => {
    const r = rig();
    r.open(1);
    const running = r.ask(1);
    const waiting = r.ask(1);
    await r.settle();
    r.order(Kind.drain);
    const late = r.ask(1);
    await r.settle();
    assert.equal(r.end(late).code, 'draining');
    r.transport.last.answer('a');
    await r.settle();
    r.transport.last.answer('b');
    await r.settle();
    assert.equal(r.end(running).type, 'response.completed');
    assert.equal(r.end(waiting).type, 'response.completed');
    assert.equal(r.parts.threads.state(WORKER_ROW), 2);
    r.assertIdle();
  });
});

const two = {
  upstreams: ['one', 'two'].map((name) => ({
    name,
    url: `http://${name}.test/v1`,
    models: ['demo'],
  })),
};
