import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { CircuitWord } from '../../../src/policy/circuit.ts';
import type { FakeExchange } from '../../support/fake-transport.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

/** As the circuit of upstream `at` counts them. */
const failuresInRow = (r: Rig, at: number) =>
  r.parts.table.circuit(at, 0).load(CircuitWord.failuresInRow);

/** Every way an attempt can fail before its first delta, and the code it is reported by. */
const failures: readonly (readonly [
  name: string,
  play: (r: Rig, e: FakeExchange) => unknown,
  code: string,
])[] = [
  ['refused', (_, e) => e.fail('MILLRACE_UPSTREAM_REFUSED'), 'MILLRACE_UPSTREAM_REFUSED'],
  ['reset before the head', (_, e) => e.sent().fail(), 'MILLRACE_UPSTREAM_RESET'],
  ['reset after the head', (_, e) => e.sent().head().fail(), 'MILLRACE_UPSTREAM_RESET'],
  [
    'status 500',
    (_, e) => e.sent().head(500).bytes('{"error":{"message":"no"}}').end(),
    'MILLRACE_UPSTREAM_STATUS',
  ],
  [
    'status 503 whose body breaks',
    (_, e) => e.sent().head(503).bytes('oh').fail(),
    'MILLRACE_UPSTREAM_STATUS',
  ],
  [
    'status 429',
    (_, e) => e.sent().head(429, { 'retry-after': '2' }).end(),
    'MILLRACE_UPSTREAM_LIMITED',
  ],
  [
    'an error in the stream',
    (_, e) => e.sent().head().bytes('data: {"error":{"message":"no","code":500}}\n\n'),
    'MILLRACE_UPSTREAM_ERROR',
  ],
  ['an end without a word', (_, e) => e.sent().head().end(), 'MILLRACE_UPSTREAM_TRUNCATED'],
  [
    'what is not its protocol',
    (_, e) => e.sent().head().bytes('data: {nonsense\n\n'),
    'MILLRACE_UPSTREAM_MALFORMED',
  ],
  [
    'a page instead of a stream',
    (_, e) => e.sent().head(200, { 'content-type': 'text/html' }).bytes('<html>').end(),
    'MILLRACE_UPSTREAM_MALFORMED',
  ],
  ['no connection in time', (r) => r.pass(5010), 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT'],
  ['no head in time', (r, e) => (e.sent(), r.pass(10_010)), 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT'],
  [
    'no delta in time',
    (r, e) => (e.sent().head(), r.pass(20_010)),
    'MILLRACE_UPSTREAM_FIRST_TIMEOUT',
  ],
];
const clocks = { connectTimeoutMs: 5000, headersTimeoutMs: 10_000, firstDeltaTimeoutMs: 20_000 };
const upstreams = (count: number, more: object = {}) =>
  ['one', 'two', 'three']
    .slice(0, count)
    .map((name) => ({ name, url: `http://${name}.test/v1`, models: ['demo'], ...more }));

describe('before the first delta', () => {
  for (const [name, play, code] of failures) {
    test(`${name}: another upstream answers, and the client notices nothing`, async () => {
      const r = rig({ options: { upstreams: upstreams(2), stream: clocks } });
      r.open(1);
      const turn = r.ask(1);
      await r.settle();
      const [first] = r.transport.exchanges;
      assert.equal(first.upstream, 'one');
      await play(r, first);
      await r.settle();
      assert.equal(r.transport.exchanges.length, 2, 'a second attempt, at once');
      assert.equal(first.live, false, 'the first socket is closed');
      const { last } = r.transport;
      assert.equal(last.upstream, 'two');
      last.answer('fine');
      await r.settle();
      assert.deepEqual(r.end(turn), { type: 'response.completed', code: undefined });
      assert.equal(r.text(turn), 'fine');
      const failed = r.parts.facts.filter((fact) => fact.fact === 'attempt-failed');
      assert.deepEqual(
        failed.map((fact) => [fact.upstream, fact.error.code]),
        [['one', code]],
      );
      assert.equal(r.count('millrace_failovers_total'), 1);
      const blamed = code === 'MILLRACE_UPSTREAM_LIMITED' ? 0 : 1;
      assert.deepEqual(r.outcomes(0), [1, 1 - blamed, blamed]);
      assert.deepEqual(r.outcomes(1), [1, 1, 0]);
      assert.equal(failuresInRow(r, 0), blamed);
      r.assertIdle();
    });
  }

  test('what the request itself is to blame for is tried nowhere else', async () => {
    const r = rig();
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.sent().head(400).bytes('{"error":{"message":"too hot"}}').end();
    await r.settle();
    assert.equal(r.transport.exchanges.length, 1);
    assert.equal(r.end(turn).code, 'upstream_rejected');
    assert.equal(failuresInRow(r, 0), 0);
    r.assertIdle();
  });

  test('all attempts fail: one failure, the last one, after 1 + maxRetries attempts', async () => {
    const r = rig({
      options: { upstreams: upstreams(2), stream: { maxRetries: 3, retryDelayMs: 100 } },
    });
    r.open(1);
    const turn = r.ask(1);
    r.transport.onOpen = () => {};
    for (let n = 0; n < 6 && !r.hasEnd(turn); n += 1) {
      await r.settle();
      if (r.transport.last.live) r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
      await r.pass(1000);
    }
    assert.equal(r.end(turn).code, 'upstream_refused');
    assert.deepEqual(r.transport.exchanges.map(({ upstream }) => upstream).toSorted(), [
      'one',
      'one',
      'two',
      'two',
    ]);
    r.assertIdle();
  });

  test('the same upstream again only after a jittered wait', async () => {
    const r = rig({
      upstreams: 1,
      options: { upstreams: upstreams(1), stream: { retryDelayMs: 100 } },
    });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
    await r.pass(40);
    assert.equal(r.transport.exchanges.length, 1);
    await r.pass(15);
    assert.equal(r.transport.exchanges.length, 2);
    r.transport.last.answer('late');
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('Retry-After is kept: by this request, and by every other one', async () => {
    const r = rig({ options: { upstreams: upstreams(1) } });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.sent().head(429, { 'retry-after': '3' }).end();
    await r.pass(2900);
    assert.equal(r.transport.exchanges.length, 1);
    const other = r.ask(1, { stream_id: 'other' });
    await r.settle();
    assert.equal(r.hasEnd(other), false, 'nothing else is usable: it waits');
    await r.pass(200);
    assert.equal(r.transport.exchanges.length, 3);
    for (const exchange of r.transport.exchanges.slice(1)) exchange.answer('x');
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    assert.equal(r.end(other).type, 'response.completed');
  });

  test('one deadline spans all attempts', async () => {
    const r = rig({
      options: { upstreams: upstreams(2), stream: { ...clocks, deadlineMs: 7000 } },
    });
    r.open(1);
    const turn = r.ask(1);
    await r.pass(5010);
    assert.equal(r.transport.exchanges.length, 2);
    await r.pass(1900);
    assert.equal(r.hasEnd(turn), false);
    await r.pass(200);
    assert.equal(r.end(turn).code, 'deadline');
    r.assertIdle();
  });

  test('without a usable upstream there is one typed failure, whatever the reason', async () => {
    const words: [word: keyof typeof UpstreamWord, value: number][] = [
      ['present', 0],
      ['health', 0],
      ['drained', 1],
    ];
    for (const [word, value] of words) {
      const r = rig();
      for (const at of [0, 1]) r.parts.table.set(at, UpstreamWord[word], value);
      r.open(1);
      const turn = r.ask(1);
      await r.settle();
      assert.deepEqual([word, r.end(turn).code], [word, 'upstream_none']);
      assert.equal(r.transport.exchanges.length, 0);
    }
  });

  test('retries beyond the budget are not made; those of requests that never left are free', async () => {
    const options = {
      upstreams: upstreams(2),
      stream: { retriesRunningMax: 2, retriesRunningShare: 0 },
    };
    for (const sent of [true, false]) {
      const r = rig({ options });
      r.open(1);
      // Twice: what was taken from the budget is given back.
      for (const round of [1, 2]) {
        const before = r.transport.exchanges.length;
        const turns = ['a', 'b', 'c', 'd'].map((lane) => r.ask(1, { stream_id: lane }));
        await r.settle();
        for (const exchange of r.transport.exchanges.slice(before, before + 4)) {
          if (sent) exchange.sent();
          exchange.fail();
        }
        await r.settle();
        const over = turns.filter((turn) => r.hasEnd(turn));
        assert.equal(over.length, sent ? 2 : 0);
        assert.equal(r.count('millrace_retry_budget_exhausted_total'), sent ? 2 * round : 0);
        for (const exchange of r.transport.exchanges.slice(before + 4)) exchange.answer('x');
        await r.settle();
        for (const turn of turns) r.end(turn);
        r.assertIdle();
      }
    }
  });

  test('a key or body of one attempt never shows in the frames or facts of its failure', async () => {
    const r = rig({
      options: {
        upstreams: upstreams(1, { apiKey: 'sk-canary-0123456789' }),
        stream: { maxRetries: 0 },
      },
    });
    r.open(1);
    r.ask(1);
    await r.settle();
    assert.match(JSON.stringify(r.transport.last.request.headers), /sk-canary/);
    r.transport.last
      .sent()
      .head(401)
      .bytes('{"error":{"message":"bad key sk-canary-0123456789"}}')
      .end();
    await r.settle();
    assert.doesNotMatch(JSON.stringify([r.frames, r.parts.facts]), /canary/);
  });
});

describe('after the first delta', () => {
  const breaks: [name: string, play: (r: Rig, e: FakeExchange) => unknown, code: string][] = [
    ['a reset', (_, e) => e.fail(), 'upstream_reset'],
    ['an end without a finish reason', (_, e) => e.end(), 'upstream_truncated'],
    [
      'an error in the stream',
      (_, e) => e.bytes('data: {"error":{"message":"no","code":500}}\n\n'),
      'upstream_error',
    ],
    ['silence', (r) => r.pass(30_010), 'upstream_gap_timeout'],
  ];
  for (const [name, play, code] of breaks) {
    test(`${name} is exactly one failure, and no other upstream is asked`, async () => {
      const r = rig();
      r.open(1);
      const turn = r.ask(1);
      await r.settle();
      r.transport.last.sent().head().say('par', 'tial');
      await r.settle();
      await play(r, r.transport.last);
      await r.pass(1000);
      assert.deepEqual(r.end(turn), { type: 'response.failed', code });
      assert.equal(r.text(turn), 'partial');
      assert.equal(r.transport.exchanges.length, 1);
      assert.deepEqual(r.outcomes(0), [1, 0, 1]);
      r.assertIdle();
    });
  }

  test('a delta and the failure in one read: the delta is delivered, then the failure', async () => {
    const r = rig();
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const delta = 'data: {"choices":[{"index":0,"delta":{"content":"seen"}}]}\n\n';
    r.transport.last.sent().head().bytes(`${delta}data: {"error":{"message":"no","code":500}}\n\n`);
    await r.settle();
    assert.equal(r.text(turn), 'seen');
    assert.deepEqual(r.end(turn), { type: 'response.failed', code: 'upstream_error' });
    assert.equal(r.transport.exchanges.length, 1);
    r.assertIdle();
  });
});
