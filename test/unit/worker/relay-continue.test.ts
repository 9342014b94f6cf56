/** An answer that breaks off behind its first delta, taken over by another upstream that was told what had been said. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rig } from '../../support/relay-rig.ts';

const upstreams = [
  { name: 'one', url: 'http://one.test/v1' },
  { name: 'two', url: 'http://two.test/v1' },
  { name: 'three', url: 'http://three.test/v1', continues: true },
];

async function broken(ask: object = {}, how: object = {}) {
  const r = rig({ options: { upstreams, stream: { gapTimeoutMs: 1000, ...how } } });
  r.open(1);
  const turn = r.ask(1, ask);
  await r.settle();
  const [first] = r.transport.exchanges;
  first.sent().head();
  return { r, turn, first };
}

const last = (r: Awaited<ReturnType<typeof broken>>['r'], turn: number) =>
  (r.events(turn).at(-1) as unknown as { response: { x_millrace: Record<string, unknown> } })
    .response.x_millrace;

describe('an answer that broke off', () => {
  test('goes on at an upstream that continues, which gets what was said; the last frame tells', async () => {
    const { r, turn, first } = await broken({ max_output_tokens: 10 });
    first.say('Once ', 'upon "a" ', '\\time\n').fail();
    await r.settle();
    const second = r.transport.last;
    assert.equal(second.upstream, 'three');
    const body = JSON.parse(second.request.body);
    assert.deepEqual(body.messages.at(-1), {
      role: 'assistant',
      content: 'Once upon "a" \\time\n',
    });
    assert.equal(body.max_tokens, 7, 'what is left of what was asked for');
    assert.deepEqual(r.inFlight(), [0, 0, 1]);
    second.answer('there was', ' more');
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    assert.equal(r.text(turn), 'Once upon "a" \\time\nthere was more');
    assert.deepEqual(last(r, turn), { upstream: 'three', attempts: 2, continued: true });
    assert.equal(r.count('millrace_continuations_total'), 1);
    const [ended] = r.parts.facts.filter((fact) => fact.fact === 'stream-ended');
    assert.equal(ended.deltas, 5);
    r.assertIdle();
  });

  test('goes on once only: a second break is the end, told as the first one', async () => {
    const { r, turn, first } = await broken();
    first.say('a').fail();
    await r.settle();
    r.transport.last.sent().head().say('b').end();
    await r.settle();
    assert.equal(r.transport.exchanges.length, 2);
    assert.equal(r.end(turn).code, 'upstream_reset');
    assert.equal(r.text(turn), 'ab');
    assert.deepEqual([r.outcomes(0)[2], r.outcomes(2)[2]], [1, 1]);
    r.assertIdle();
  });

  test('fails when the one that was to go on never answers, within the clocks', async () => {
    const { r, turn, first } = await broken({}, { firstDeltaTimeoutMs: 700 });
    first.say('a').fail();
    await r.settle();
    await r.pass(800);
    assert.equal(r.end(turn).code, 'upstream_reset');
    r.assertIdle();
  });

  test('can be cancelled while the other one is asked', async () => {
    const { r, turn, first } = await broken();
    first.say('a').fail();
    await r.settle();
    r.send(1, { type: 'response.cancel' });
    await r.settle();
    assert.equal(r.end(turn).type, 'response.incomplete');
    r.assertIdle();
  });

  const chunk = (delta: object) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`;
  const call = { index: 0, id: 'c', function: { name: 'f', arguments: '{' } };
  const tool = { type: 'function', name: 'f', parameters: {} };
  const never: readonly (readonly [string, object, string])[] = [
    ['a tool call', { tools: [tool] }, chunk({ content: 'a' }) + chunk({ tool_calls: [call] })],
    ['reasoning', {}, chunk({ reasoning_content: 'hm' }) + chunk({ content: 'a' })],
    ['a refusal', {}, chunk({ refusal: 'no' })],
    ['structured output', { text: { format: { type: 'json_object' } } }, chunk({ content: '{' })],
    ['a request for reasoning', { reasoning: { effort: 'low' } }, chunk({ content: 'a' })],
  ];
  for (const [name, ask, bytes] of never) {
    test(`has failed when it holds ${name}`, async () => {
      const { r, turn, first } = await broken(ask);
      first.bytes(bytes).fail();
      await r.settle();
      assert.equal(r.transport.exchanges.length, 1);
      assert.equal(r.end(turn).code, 'upstream_reset');
      r.assertIdle();
    });
  }

  test('has failed when no upstream continues, or the budget is used up', async () => {
    const { r, turn, first } = await broken({}, { retriesRunningMax: 0, retriesRunningShare: 0 });
    first.say('a').fail();
    await r.settle();
    assert.equal(r.end(turn).code, 'upstream_reset');
    assert.equal(r.count('millrace_retry_budget_exhausted_total'), 1);
    const other = rig();
    other.open(1);
    const plain = other.ask(1);
    await other.settle();
    other.transport.last.sent().head().say('a').fail();
    await other.settle();
    assert.equal(other.end(plain).code, 'upstream_reset');
    assert.equal(other.transport.exchanges.length, 1);
    r.assertIdle();
    other.assertIdle();
  });
});

describe('the rate of an answer', () => {
  const slow = { minTokensPerSecond: 2, rateWindowMs: 1000, gapTimeoutMs: 30_000 };

  test('below its bound over a window is a failure of the upstream; above it is not', async () => {
    const r = rig({ options: { stream: slow } });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const { last: exchange } = r.transport;
    exchange.sent().head().say('first');
    for (let n = 0; n < 10; n += 1) {
      await r.pass(400);
      exchange.say(`${n}`);
    }
    await r.settle();
    assert.equal(r.hasEnd(turn), false);
    await r.pass(900);
    exchange.say('trickle');
    await r.pass(1100);
    assert.equal(r.end(turn).code, 'upstream_slow');
    assert.deepEqual(r.outcomes(0), [1, 0, 1], 'it counts against the upstream');
    r.assertIdle();
  });

  test('does not count while the client reads nothing', async () => {
    const r = rig({
      upstreams: 1,
      options: {
        upstreams: [{ name: 'one', url: 'http://one.test/v1' }],
        stream: slow,
        session: { creditBytes: 16 * 1024 },
      },
    });
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    const { last: exchange } = r.transport;
    exchange.sent().head();
    r.granting = false;
    for (let n = 0; n < 1000 && !exchange.paused; n += 1) {
      exchange.say('x'.repeat(50));
      await r.settle();
    }
    assert.ok(exchange.paused);
    await r.pass(10_000);
    assert.equal(r.hasEnd(turn), false);
    r.granting = true;
    r.grant(1);
    await r.settle();
    exchange.stop().done().end();
    await r.settle();
    r.grant(1);
    await r.settle();
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });
});
