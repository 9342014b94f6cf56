/** The user's hooks around a stream: what they are told, what their answers do, and that none of them can hold a client for ever. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codes, MillraceError } from '../../../src/errors.ts';
import { Flag } from '../../../src/memory/layout.ts';
import type { Finished, Hooks, RequestAsked } from '../../../src/protocol/hooks.ts';
import { type Rig, type RigOptions, rig } from '../../support/relay-rig.ts';

function hooked(hooks: Hooks, more: RigOptions = {}): Rig {
  const r = rig({ ...more, modules: { hooks } });
  r.open(1);
  return r;
}

async function calm(r: Rig): Promise<void> {
  for (let n = 0; n < 6; n += 1) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    await r.settle();
  }
}

const failed = (r: Rig) => r.count('millrace_hooks_failed_total');

describe('onRequest', () => {
  test('sees whose request it is, and may edit it or send it to another model', async () => {
    const asked: RequestAsked[] = [];
    const models = ['demo', 'other'];
    const r = hooked(
      {
        onRequest(ask) {
          asked.push(ask);
          return { kind: 'go', request: { ...ask.request, temperature: 0.1 }, model: 'other' };
        },
      },
      { options: { upstreams: [{ name: 'one', url: 'http://one.test/v1', models }] } },
    );
    const turn = r.ask(1);
    await calm(r);
    const body = JSON.parse(r.transport.last.request.body) as Record<string, unknown>;
    assert.deepEqual([body['model'], body['temperature']], ['other', 0.1]);
    assert.equal(asked[0].principal, 'anonymous');
    assert.deepEqual(asked[0].session, { dialect: 'responses', address: '127.0.0.1' });
    r.transport.last.answer('yes');
    await calm(r);
    assert.equal(r.text(turn), 'yes');
    assert.equal(r.end(turn).type, 'response.completed');
    r.assertIdle();
  });

  test('a refusal ends the answer in the words of the dialect, and nothing is sent upstream', async () => {
    for (const error of [
      { message: 'not on Sundays' },
      new MillraceError('MILLRACE_RATE_LIMITED', { waitMs: 5 }),
    ]) {
      const r = hooked({ onRequest: async () => ({ kind: 'refuse', error }) });
      const turn = r.ask(1);
      await calm(r);
      const typed = error instanceof MillraceError;
      assert.deepEqual(r.end(turn), {
        type: 'response.failed',
        code: typed ? 'rate_limit_exceeded' : 'request_refused',
      });
      assert.match(r.of(turn).at(-1)?.text ?? '', typed ? /Rate limit/ : /not on Sundays/);
      assert.equal(r.transport.exchanges.length, 0);
      assert.equal(failed(r), 0);
      r.assertIdle();
    }
  });

  const wrong: Readonly<Record<string, Hooks['onRequest']>> = {
    'throws at once': () => {
      throw new Error('secret');
    },
    'rejects later': () => Promise.reject(new Error('secret')),
    'answers nonsense': () => ({}) as never,
    'makes a request that is none': () => ({ kind: 'go', request: { model: 'demo' } as never }),
  };
  for (const [what, onRequest] of Object.entries(wrong)) {
    test(`that ${what} fails the stream, typed and counted, and the next one is asked again`, async () => {
      const r = hooked({ onRequest: onRequest as NonNullable<Hooks['onRequest']> });
      for (const times of [1, 2]) {
        const turn = r.ask(1);
        await calm(r);
        assert.deepEqual(r.end(turn), { type: 'response.failed', code: 'hook_failed' });
        assert.doesNotMatch(r.of(turn).at(-1)?.text ?? '', /secret/);
        assert.equal(failed(r), times);
        assert.equal(
          r.count('millrace_errors_total', codes.indexOf('MILLRACE_HOOK_FAILED')),
          times,
        );
      }
      assert.ok(
        r.parts.facts.some((fact) => fact.fact === 'fault' && /onRequest/.test(fact.where)),
      );
      assert.equal(r.transport.exchanges.length, 0);
      r.assertIdle();
    });
  }

  test('that never answers fails at its deadline; the lane waits in order, other lanes do not', async () => {
    const never = new Promise<never>(() => {});
    const r = hooked(
      {
        onRequest: ({ request }) =>
          JSON.stringify(request.messages).includes('wait') ? never : { kind: 'go' },
      },
      { options: { hooks: { timeoutMs: 1_000 }, upstreams: [one] } },
    );
    const first = r.ask(1, { input: 'wait' });
    const behind = r.ask(1, { input: 'behind' });
    const beside = r.ask(1, { input: 'beside', stream_id: 'b' });
    await calm(r);
    assert.equal(r.transport.exchanges.length, 1);
    r.transport.last.answer('beside');
    await calm(r);
    assert.equal(r.text(beside), 'beside');
    await r.pass(990);
    assert.ok(!r.hasEnd(first));
    await r.pass(20);
    await calm(r);
    assert.equal(r.end(first).code, 'hook_failed');
    r.transport.last.answer('behind');
    await calm(r);
    assert.equal(r.text(behind), 'behind');
    assert.equal(failed(r), 1);
    r.assertIdle();
  });

  test('a late answer after its deadline starts nothing', async () => {
    let answer: (verdict: { kind: 'go' }) => void = () => {};
    const r = hooked(
      { onRequest: () => new Promise((resolve) => (answer = resolve)) },
      { options: { hooks: { timeoutMs: 100 }, upstreams: [one] } },
    );
    const turn = r.ask(1);
    await calm(r);
    await r.pass(200);
    answer({ kind: 'go' });
    await calm(r);
    assert.equal(r.transport.exchanges.length, 0);
    assert.equal(r.end(turn).code, 'hook_failed');
    r.assertIdle();
  });

  for (const how of ['cancel', 'leave'] as const) {
    test(`a client that goes while it is asked (${how}) is not sent upstream`, async () => {
      let answer: (verdict: { kind: 'go' }) => void = () => {};
      const r = hooked({ onRequest: () => new Promise((resolve) => (answer = resolve)) });
      const turn = r.ask(1);
      await calm(r);
      if (how === 'leave') r.leave(1);
      else {
        const { response } = r.events(turn)[0] as unknown as { response: { id: string } };
        r.send(1, { type: 'response.cancel', response_id: response.id });
      }
      await calm(r);
      answer({ kind: 'go' });
      await calm(r);
      assert.equal(r.transport.exchanges.length, 0);
      if (how === 'cancel') assert.ok(r.hasEnd(turn));
      r.assertIdle();
    });
  }

  test('more questions at once than hooks.pendingMax are refused without asking', async () => {
    let asked = 0;
    const r = hooked(
      {
        onRequest() {
          asked++;
          return new Promise(() => {});
        },
      },
      { options: { hooks: { pendingMax: 2, timeoutMs: 1_000 }, upstreams: [one] } },
    );
    const turns = ['a', 'b', 'c'].map((lane) => r.ask(1, { stream_id: lane }));
    await calm(r);
    assert.equal(asked, 2);
    assert.equal(r.end(turns[2]).code, 'server_is_overloaded');
    await r.pass(1_100);
    await calm(r);
    r.ask(1, { stream_id: 'd' });
    await calm(r);
    assert.equal(asked, 3, 'who did not answer in time no longer counts');
  });
});

const one = { name: 'one', url: 'http://one.test/v1', models: ['demo'] };

describe('onFinish', () => {
  test('is told the text, usage and fate of every stream, after the client', async () => {
    const told: Finished[] = [];
    let framesThen = 0;
    const r = hooked({
      onFinish(finished) {
        r.read();
        framesThen = r.frames.filter(({ flags }) => flags & Flag.terminal).length;
        told.push(finished);
      },
    });
    r.ask(1);
    await calm(r);
    const usage = { prompt_tokens: 3, completion_tokens: 4 };
    r.transport.last.sent().head().say('zwölf ', '„words“\n').stop();
    r.transport.last
      .bytes(`data: ${JSON.stringify({ choices: [], usage })}\n\n`)
      .done()
      .end();
    await calm(r);
    assert.equal(told.length, 1);
    const [{ durationMs, responseId, ...rest }] = told;
    assert.deepEqual(rest, {
      outcome: 'finished',
      text: 'zwölf „words“\n',
      textCut: false,
      usage: { inputTokens: 3, cachedTokens: 0, outputTokens: 4, reasoningTokens: 0 },
      finish: 'stop',
      principal: 'anonymous',
      dialect: 'responses',
      model: 'demo',
      upstream: 'one',
    });
    assert.match(responseId, /^resp_/);
    assert.ok(durationMs >= 0);
    assert.equal(framesThen, 1, 'the last frame had left');
    const broken = r.ask(1);
    await calm(r);
    r.transport.last.sent().head().say('half');
    await calm(r);
    r.transport.last.fail();
    await calm(r);
    assert.equal(r.end(broken).type, 'response.failed');
    assert.deepEqual(
      [told[1].outcome, told[1].text, told[1].error?.code],
      ['failed', 'half', 'MILLRACE_UPSTREAM_RESET'],
    );
    r.assertIdle();
  });

  test('the text is bounded', async () => {
    const told: Finished[] = [];
    const r = hooked(
      { onFinish: (finished) => void told.push(finished) },
      { options: { hooks: { textBytesMax: 10 }, upstreams: [one] } },
    );
    const turn = r.ask(1);
    await calm(r);
    r.transport.last.sent().head().say('12345');
    r.transport.last.say('67890');
    r.transport.last.say('x').stop().done().end();
    await calm(r);
    assert.deepEqual([told[0].text, told[0].textCut], ['1234567890', true]);
    assert.equal(r.text(turn), '1234567890x', 'the client gets all');
  });

  for (const [what, onFinish] of Object.entries<NonNullable<Hooks['onFinish']>>({
    throws: () => {
      throw new Error('secret');
    },
    rejects: () => Promise.reject(new Error('secret')),
    'never answers': () => new Promise(() => {}),
  })) {
    test(`that ${what} is told and counted, and no client notices`, async () => {
      const r = hooked({ onFinish }, { options: { hooks: { timeoutMs: 100 }, upstreams: [one] } });
      const turn = r.ask(1);
      await calm(r);
      r.transport.last.answer('fine');
      await calm(r);
      assert.equal(r.end(turn).type, 'response.completed');
      await r.pass(200);
      await calm(r);
      assert.equal(failed(r), 1);
      assert.ok(r.parts.facts.some((fact) => fact.fact === 'fault' && /onFinish/.test(fact.where)));
      r.assertIdle();
    });
  }
});
