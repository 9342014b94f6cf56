/** Goal: a token budget holds while the answer runs, and nothing of it leaks, however a stream ends. Method: a relay in simulated time, one byte counted as one token. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { UserOptions } from '../../../src/options/schema.ts';
import { limitScopes, limitVerdicts } from '../../../src/policy/limit/limit-scopes.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

type Tokens = NonNullable<NonNullable<UserOptions['limits']>['tokens']>;

function start(tokens: Tokens, more: UserOptions = {}) {
  const limits = { tokens: { bytesPerToken: 1, outputTokensAssumed: 10, ...tokens } };
  const r = rig({ upstreams: 2, options: { limits, stream: { maxRetries: 0 }, ...more } });
  r.open(1, 'responses', { principal: 'a' });
  r.open(2, 'responses', { principal: 'a' });
  r.open(3, 'responses', { principal: 'b' });
  return r;
}

const asked = async (r: Rig, slot: number, more: object = {}): Promise<number> => {
  const turn = r.ask(slot, more);
  await r.settle();
  return turn;
};
const usage = (prompt: number, completion: number, details: object = {}) =>
  `data: ${JSON.stringify({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'demo',
    choices: [],
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      ...details,
    },
  })}\n\n`;
/** The newest stream's answer, with what its upstream says it cost. */
async function answer(r: Rig, said: string, cost: string) {
  r.transport.last.sent().head().say(said).stop().bytes(cost).done().end();
  await r.settle();
}
/** Is there as much left for this key? It is asked for, and given back. */
async function has(r: Rig, slot: number, outputTokens: number): Promise<boolean> {
  const before = r.transport.exchanges.length;
  const turn = await asked(r, slot, { max_output_tokens: outputTokens });
  const began = r.transport.exchanges.length > before;
  if (began) r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
  await r.settle();
  assert.ok(r.hasEnd(turn));
  return began;
}
const said = (r: Rig, scope: (typeof limitScopes)[number]) =>
  limitVerdicts.map((_, verdict) =>
    r.count('millrace_limit_checks_total', limitScopes.indexOf(scope), verdict),
  );

describe('token budgets', () => {
  test('set aside the most an answer may be, and give back what it was not', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 1_000 } });
    const first = await asked(r, 1, { max_output_tokens: 600 });
    const second = await asked(r, 2, { max_output_tokens: 600 });
    const { type, code } = r.end(second);
    assert.deepEqual([type, code], ['response.failed', 'rate_limit_exceeded']);
    assert.equal(r.end(second).code, 'rate_limit_exceeded');
    assert.equal(r.transport.exchanges.length, 1, 'no upstream was asked');
    assert.ok(await has(r, 3, 600), 'another key');
    r.transport.exchanges[0].sent().head().say('fine').stop().bytes(usage(5, 100)).done().end();
    await r.settle();
    assert.equal(r.text(first), 'fine');
    assert.ok(await has(r, 1, 900));
    assert.equal(await has(r, 1, 901), false);
    await r.pass(60);
    assert.ok(await has(r, 1, 901), 'refilled: a thousand a minute');
    assert.deepEqual(said(r, 'output_tokens').slice(1), [2, 0, 0]);
    r.assertIdle();
  });

  test('end an answer that uses more than there is, at most one delta beyond it', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 100 } });
    const turn = await asked(r, 1);
    const upstream = r.transport.last.sent().head();
    for (let n = 0; n < 30 && upstream.live; n += 1) {
      upstream.say('seven..');
      await r.settle();
    }
    assert.ok(upstream.cancelled, 'the upstream was told to stop');
    assert.equal(r.end(turn).type, 'response.incomplete');
    const { response } = r.events(turn).at(-1) as unknown as {
      response: { status: string; incomplete_details: { reason: string } };
    };
    assert.deepEqual(
      [response.status, response.incomplete_details.reason],
      ['incomplete', 'max_output_tokens'],
    );
    const length = r.text(turn).length;
    assert.ok(length > 100 - 7 && length <= 100 + 7, `${length} of 100`);
    assert.equal(await has(r, 1, 10), false, 'what it used beyond is owed');
    assert.deepEqual(said(r, 'output_tokens'), [1, 2, 0, 0]);
    r.assertIdle();
  });

  test('several deltas of one read: none passes behind the one that used the budget up', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 20 } });
    const turn = await asked(r, 1);
    r.transport.last
      .sent()
      .head()
      .say('0123456789', '0123456789', '0', 'more', 'and more')
      .stop()
      .done()
      .end();
    await r.settle();
    const text = r.text(turn);
    assert.ok(text.length >= 20, text);
    assert.equal(r.end(turn).type, 'response.incomplete');
    r.assertIdle();
  });

  test('let it finish where the operator prefers that, and charge it', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 20 }, whenExceeded: 'finish' });
    const turn = await asked(r, 1);
    const upstream = r.transport.last.sent().head();
    for (let n = 0; n < 5; n += 1) {
      upstream.say('0123456789');
      await r.settle();
    }
    upstream.stop().bytes(usage(3, 50)).done().end();
    await r.settle();
    assert.equal(r.text(turn).length, 50);
    assert.equal(r.end(turn).type, 'response.completed');
    await r.pass(60_000);
    assert.equal(await has(r, 1, 15), false, '20 refilled of the 40 it may owe');
  });

  test('cost nothing where nobody answered, and what was said where the client left', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 100, inputTokensPerMinute: 10_000 } });
    await asked(r, 1, { max_output_tokens: 100 });
    r.transport.last.fail('MILLRACE_UPSTREAM_REFUSED');
    await r.settle();
    const left = await asked(r, 1, { max_output_tokens: 100 });
    r.transport.last.sent().head().say('0123456789');
    await r.settle();
    r.leave(1);
    await r.settle();
    assert.equal(r.hasEnd(left), false);
    assert.ok(await has(r, 2, 90));
    assert.equal(await has(r, 2, 91), false);
    const asksToStop = await asked(r, 2, { max_output_tokens: 90 });
    r.transport.last.sent().head().say('01234');
    await r.settle();
    r.send(2, { type: 'response.cancel' });
    await r.settle();
    assert.ok(r.hasEnd(asksToStop));
    assert.ok(await has(r, 2, 85));
    assert.equal(await has(r, 2, 86), false);
    assert.equal(r.parts.book.held(0), 0, 'nothing in the book');
    r.assertIdle();
  });

  test('what an upstream says while it runs replaces the estimate', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 30 } });
    const turn = await asked(r, 1, { max_output_tokens: 10 });
    const upstream = r.transport.last.sent().head();
    for (let n = 1; n <= 4; n += 1) {
      upstream.say('0123456789').bytes(usage(3, n));
      await r.settle();
    }
    upstream.stop().bytes(usage(3, 5)).done().end();
    await r.settle();
    assert.equal(r.text(turn).length, 40, '40 bytes that were 5 tokens');
    assert.ok(await has(r, 1, 25));
    assert.equal(await has(r, 1, 26), false);
    r.assertIdle();
  });

  test('weigh cached input and reasoning', async () => {
    const r = start({
      perKey: { inputTokensPerMinute: 1_000, outputTokensPerMinute: 1_000 },
      cachedWeight: 0.1,
      reasoningWeight: 2,
    });
    await asked(r, 1);
    const details = {
      prompt_tokens_details: { cached_tokens: 800 },
      completion_tokens_details: { reasoning_tokens: 50 },
    };
    await answer(r, 'fine', usage(900, 100, details));
    assert.ok(await has(r, 1, 850));
    assert.equal(await has(r, 1, 851), false, '50 + 2 × 50');
    const long = (bytes: number) => ({ input: 'x'.repeat(bytes - 4), max_output_tokens: 1 });
    const tooLong = await asked(r, 1, long(821));
    assert.equal(r.end(tooLong).code, 'rate_limit_exceeded', '100 + 80 of 1,000 are used');
    await asked(r, 1, long(820));
    await answer(r, 'fine', usage(820, 1));
    r.assertIdle();
  });

  test('of a day are gone until midnight', async () => {
    const r = start({ global: { tokensPerDay: 100 } });
    await asked(r, 1);
    await answer(r, 'fine', usage(30, 60));
    const refused = await asked(r, 3);
    assert.equal(r.end(refused).code, 'rate_limit_exceeded');
    assert.match(r.of(refused).at(-1)?.text ?? '', /day_tokens/);
    r.assertIdle();
  });

  test('so many answers at once: the next may begin when one has ended', async () => {
    const r = start({ perKey: { streamsMax: 2 } });
    const first = await asked(r, 1);
    await asked(r, 2);
    const third = await asked(r, 1, { stream_id: 'x' });
    assert.equal(r.end(third).code, 'rate_limit_exceeded');
    assert.ok(await has(r, 3, 5), 'another key');
    r.transport.exchanges[0].answer('fine');
    await r.settle();
    assert.equal(r.text(first), 'fine');
    const fourth = await asked(r, 1);
    await answer(r, 'fine too', usage(1, 1));
    assert.equal(r.text(fourth), 'fine too');
    r.leave(2);
    await r.settle();
    assert.equal(r.parts.book.held(0), 0);
    r.assertIdle();
  });

  test('a shadow counts what it would refuse', async () => {
    const r = start({ perKey: { outputTokensPerMinute: 5, shadow: true } });
    await asked(r, 1, { max_output_tokens: 5 });
    await asked(r, 2, { max_output_tokens: 5 });
    assert.equal(r.transport.exchanges.length, 2);
    r.transport.exchanges[0].answer('0123456789');
    r.transport.exchanges[1].answer('0123456789');
    await r.settle();
    assert.deepEqual(said(r, 'output_tokens'), [1, 0, 1, 0]);
    r.assertIdle();
  });
});
