import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Flag } from '../../../src/memory/layout.ts';
import { rig } from '../../support/relay-rig.ts';

const upstreams = [{ name: 'one', url: 'http://one.test/v1' }];

describe('the lanes of a session', () => {
  test('one turn of a lane runs at a time, in order; lanes run beside each other', async () => {
    const r = rig({ options: { upstreams } });
    r.open(1);
    const first = r.ask(1, { stream_id: 'a', input: 'a1' });
    const second = r.ask(1, { stream_id: 'a', input: 'a2' });
    const beside = r.ask(1, { stream_id: 'b', input: 'b1' });
    await r.settle();
    assert.equal(r.transport.exchanges.length, 2);
    assert.deepEqual(r.of(second), [], 'nothing is said about a turn that waits');
    r.transport.exchanges[1].answer('B');
    r.transport.exchanges[0].answer('A1');
    await r.settle();
    assert.match(r.transport.last.request.body, /a2/);
    r.transport.last.answer('A2');
    await r.settle();
    assert.deepEqual(
      [first, second, beside].map((turn) => r.text(turn)),
      ['A1', 'A2', 'B'],
    );
    for (const turn of [first, second, beside]) r.end(turn);
    r.assertIdle();
  });

  test('runningRequestsMax run, queuedRequestsMax wait, and the next one is refused', async () => {
    const r = rig({
      options: { upstreams, session: { runningRequestsMax: 2, queuedRequestsMax: 3 } },
    });
    r.open(1);
    const turns = ['a', 'b', 'c', 'd', 'e', 'f'].map((lane) => r.ask(1, { stream_id: lane }));
    await r.settle();
    assert.equal(r.transport.exchanges.length, 2);
    assert.deepEqual(
      turns.map((turn) => r.hasEnd(turn)),
      [false, false, false, false, false, true],
    );
    assert.equal(r.end(turns[5]).code, 'websocket_queue_full');
    for (let n = 0; n < 5; n += 1) {
      r.transport.exchanges[n].answer('x');
      await r.settle();
    }
    for (const turn of turns.slice(0, 5)) assert.equal(r.end(turn).type, 'response.completed');
    assert.equal(r.transport.exchanges.length, 5);
    r.assertIdle();
  });

  test('the bounds are a session’s own: another session is not held back', async () => {
    const r = rig({
      options: { upstreams, session: { runningRequestsMax: 1, queuedRequestsMax: 1 } },
    });
    r.open(1);
    r.open(2, 'chat');
    for (let n = 0; n < 5; n += 1) r.ask(1);
    const other = r.send(2, { message: 'hi', model: 'demo' });
    await r.settle();
    assert.equal(r.transport.exchanges.length, 2);
    r.transport.last.answer('hello');
    await r.settle();
    r.end(other);
    assert.equal(JSON.parse(r.of(other)[0].text).content, 'hello');
  });

  test('turns that are answered without an upstream follow each other, however many wait', async () => {
    const queuedRequestsMax = 5_000;
    const r = rig({
      options: {
        upstreams,
        session: { queuedRequestsMax, creditBytes: 2 ** 26 },
        memory: { ringBytes: 2 ** 25 },
      },
    });
    r.open(1);
    const running = r.ask(1);
    const warm = Array.from({ length: queuedRequestsMax }, () => r.ask(1, { generate: false }));
    await r.settle();
    r.transport.last.answer('x');
    await r.settle();
    assert.equal(r.end(running).type, 'response.completed');
    const ended = new Set(
      r.frames.filter(({ flags }) => flags & Flag.terminal).map(({ stream }) => stream),
    );
    assert.ok(warm.every((turn) => ended.has(turn)));
    r.assertIdle();
  });
});

describe('messages of a session', () => {
  test('what is wrong with one is said, and the session goes on', async () => {
    const r = rig({ options: { upstreams } });
    r.open(1);
    const wrong = r.send(1, 'not json');
    const unknown = r.send(1, { type: 'nonsense' });
    await r.settle();
    assert.equal(r.end(wrong).code, 'invalid_json');
    assert.equal(r.end(unknown).code, 'unknown_event');
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.answer('fine');
    await r.settle();
    assert.equal(r.text(turn), 'fine');
  });

  test('a large one is parsed elsewhere; those behind it wait, and the order holds', async () => {
    const jobs: (() => void)[] = [];
    const parse = (bytes: Uint8Array) =>
      new Promise<unknown>((resolve) => {
        jobs.push(() => resolve(JSON.parse(Buffer.from(bytes).toString())));
      });
    const r = rig({ options: { upstreams, memory: { largeBodyBytes: 1024 } }, parse });
    r.open(1);
    r.open(2);
    const large = r.ask(1, { input: 'L'.repeat(2000) });
    const small = r.ask(1, { input: 'small' });
    const other = r.ask(2, { input: 'other' });
    await r.settle();
    assert.equal(jobs.length, 1);
    assert.equal(r.transport.exchanges.length, 1, 'only the other session runs');
    jobs[0]();
    await r.settle();
    assert.match(r.transport.exchanges[1].request.body, /LLLL/);
    r.transport.exchanges[1].answer('1');
    await r.settle();
    assert.match(r.transport.exchanges[2].request.body, /small/);
    r.transport.exchanges[2].answer('2');
    r.transport.exchanges[0].answer('3');
    await r.settle();
    assert.deepEqual(
      [large, small, other].map((turn) => r.text(turn)),
      ['1', '2', '3'],
    );
    r.assertIdle();
  });

  test('a large one that is not JSON, a jobs pool that fails: an answer all the same', async () => {
    const parse = () => Promise.reject(new Error('no thread'));
    const r = rig({ options: { upstreams, memory: { largeBodyBytes: 1024 } }, parse });
    r.open(1);
    const wrong = r.send(1, `{"type": ${'x'.repeat(2000)}`);
    const turn = r.ask(1, { input: 'L'.repeat(2000) });
    await r.settle();
    await r.settle();
    assert.equal(r.end(wrong).code, 'invalid_json');
    r.transport.last.answer('parsed here');
    await r.settle();
    assert.equal(r.text(turn), 'parsed here');
  });

  test('behind a large one at most queuedRequestsMax wait', async () => {
    const parse = () => new Promise<unknown>(() => {});
    const r = rig({
      options: { upstreams, memory: { largeBodyBytes: 1024 }, session: { queuedRequestsMax: 2 } },
      parse,
    });
    r.open(1);
    r.ask(1, { input: 'L'.repeat(2000) });
    const behind = [r.ask(1), r.ask(1), r.ask(1)];
    await r.settle();
    assert.deepEqual(
      behind.map((turn) => r.hasEnd(turn)),
      [false, false, true],
    );
    assert.equal(r.end(behind[2]).code, 'websocket_queue_full');
    r.leave(1);
    await r.settle();
    r.assertIdle();
  });
});
