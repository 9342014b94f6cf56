/** Goal: a request over a limit is refused in its dialect's own words and takes nothing; one that an upstream may not have goes to another. Method: a relay in simulated time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { limitScopes, limitVerdicts } from '../../../src/policy/limit/limit-scopes.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';

type Limits = NonNullable<UserOptions['limits']>;

function start(limits: Limits, more: UserOptions = {}) {
  const names = ['one', 'two'];
  const upstreams = names.map((name) => ({
    name,
    url: `http://${name}.test/v1`,
    models: ['demo', 'other'],
  }));
  const r = rig({ options: { upstreams, limits, ...more } });
  r.open(1, 'responses', { principal: 'a' });
  r.open(2, 'responses', { principal: 'b' });
  return r;
}

/** 'fine', or the error's code. */
async function answer(r: Rig, slot: number, more: object = {}): Promise<string> {
  const before = r.transport.exchanges.length;
  const turn = r.ask(slot, more);
  await r.settle();
  if (r.transport.exchanges.length > before) {
    r.transport.last.answer('fine');
    await r.settle();
  }
  return r.text(turn) || String(r.end(turn).code);
}

const said = (r: Rig, scope: (typeof limitScopes)[number]) =>
  limitVerdicts.map((_, verdict) =>
    r.count('millrace_limit_checks_total', limitScopes.indexOf(scope), verdict),
  );
type Limited = { code: string; headers: Record<string, string> };
const REFUSED = 'rate_limit_exceeded';

describe('limits of requests', () => {
  test('each key has its own; the refused client hears when to come back, and is served then', async () => {
    const r = start({ perKey: { maxRequestsPerSecond: 1, maxBurst: 2 } });
    assert.equal(await answer(r, 1), 'fine');
    assert.equal(await answer(r, 1), 'fine');
    const turn = r.ask(1);
    await r.settle();
    const { code, headers } = r.events(turn)[0]['error'] as Limited;
    const waitMs = Number(headers['retry-after-ms']);
    assert.deepEqual([code, headers['retry-after']], [REFUSED, '1']);
    assert.ok(waitMs > 900 && waitMs <= 1_000, `${waitMs} ms`);
    assert.equal(await answer(r, 2), 'fine', 'another key');
    await r.pass(waitMs);
    assert.equal(await answer(r, 1), 'fine');
    assert.equal(await answer(r, 1), REFUSED);
    assert.deepEqual(said(r, 'key'), [4, 2, 0, 0]);
    r.assertIdle();
  });

  test('the last event of an answer, and a refusal, say what is left', async () => {
    const tokens = { perKey: { outputTokensPerMinute: 60_000 } };
    const r = start({ perKey: { maxRequestsPerSecond: 1, maxBurst: 2 }, tokens });
    r.open(3, 'chat', { principal: 'c' });
    const turn = r.ask(1);
    await r.settle();
    r.transport.last.answer('fine');
    await r.settle();
    const { response } = r.events(turn).at(-1) as unknown as {
      response: { x_millrace: { headers: object } };
    };
    assert.deepEqual(response.x_millrace.headers, {
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '60000',
      'x-ratelimit-remaining-tokens': '60000',
      'x-ratelimit-reset-tokens': '0ms',
    });
    for (const asked of ['one', 'two', 'three']) {
      r.send(3, { message: asked });
      await r.settle();
      if (asked === 'three') break;
      r.transport.last.answer('fine');
      await r.settle();
    }
    const ends = r.frames
      .filter(({ slot, flags }) => slot === 3 && flags & Flag.terminal)
      .map(({ text }) => JSON.parse(text).headers['x-ratelimit-remaining-requests']);
    assert.deepEqual(ends, ['1', '0', '0']);
    const past = r.ask(1);
    await r.settle();
    r.transport.last.answer('fine');
    const refused = r.ask(1);
    await r.settle();
    assert.ok(r.hasEnd(past));
    const { headers } = r.events(refused)[0]['error'] as Limited;
    assert.equal(headers['x-ratelimit-remaining-requests'], '0');
    assert.equal(headers['retry-after'], '1');
  });

  test('all or none: what the model or everybody refuses is not charged to the key', async () => {
    const r = start({
      perKey: { maxRequestsPerSecond: 0.001, maxBurst: 3 },
      perModel: { maxRequestsPerSecond: 0.001, maxBurst: 1 },
      global: { maxRequestsPerSecond: 0.001, maxBurst: 3 },
    });
    assert.equal(await answer(r, 1), 'fine');
    assert.equal(await answer(r, 1), REFUSED, 'the model');
    assert.equal(await answer(r, 1), REFUSED, 'the model');
    assert.equal(await answer(r, 1, { model: 'other' }), 'fine', 'its key was not charged');
    assert.deepEqual(
      [said(r, 'key'), said(r, 'model')],
      [
        [2, 0, 0, 0],
        [2, 2, 0, 0],
      ],
    );
    assert.deepEqual(said(r, 'global'), [2, 0, 0, 0], 'nobody else was asked');
    r.assertIdle();
  });

  test('a shadow counts and refuses nothing, one limit or all of them', async () => {
    const rule = { maxRequestsPerSecond: 0.001, maxBurst: 1 };
    for (const limits of [
      { perKey: { ...rule, shadow: true } },
      { perKey: rule, shadow: true },
    ] satisfies Limits[]) {
      const r = start(limits);
      for (let n = 0; n < 3; n += 1) assert.equal(await answer(r, 1), 'fine');
      assert.deepEqual(said(r, 'key'), [1, 0, 2, 0]);
      r.assertIdle();
    }
  });

  test('a refusal ends the session only where the operator wants it', async () => {
    const rule = { maxRequestsPerSecond: 0.001, maxBurst: 1 };
    for (const whenRefused of ['answer', 'close'] as const) {
      const r = start({ perKey: rule, whenRefused });
      assert.equal(await answer(r, 1), 'fine');
      assert.equal(await answer(r, 1), REFUSED);
      await r.settle();
      const codes = r.closes.map(({ slot, code }) => [slot, code]);
      assert.deepEqual(codes, whenRefused === 'close' ? [[1, 1013]] : []);
    }
  });

  test('the chat says the guide’s sentence', async () => {
    const r = start({ perKey: { maxRequestsPerSecond: 0.5, maxBurst: 1 } });
    r.open(3, 'chat', { principal: 'c' });
    r.send(3, { message: 'hi' });
    await r.settle();
    const turn = r.send(3, { message: 'hi' });
    await r.settle();
    const [frame] = r.of(turn).map(({ text }) => JSON.parse(text));
    assert.equal(frame.content, 'Rate limit exceeded');
    assert.equal(frame.done, true);
    assert.deepEqual(
      [frame.error.code, frame.error.retry, frame.error.retryAfterMs],
      ['MILLRACE_RATE_LIMITED', 'later', 2_000],
    );
  });

  test('a turn that a dead worker had begun is not asked about again', async () => {
    const r = start({ perKey: { maxRequestsPerSecond: 0.001, maxBurst: 1 } });
    assert.equal(await answer(r, 1), 'fine');
    const turn = r.ask(1, {}, { skip: 2, nonce: 40 });
    await r.settle();
    r.transport.last.answer('again');
    await r.settle();
    assert.equal(r.text(turn), 'again');
  });

  test('changed limits begin anew; unchanged ones go on', async () => {
    const rule = { maxRequestsPerSecond: 0.001, maxBurst: 1 };
    const r = start({ perKey: rule });
    const { seats } = r.parts;
    assert.equal(await answer(r, 1), 'fine');
    r.relay.configure({ epoch: 2, seats, options: { ...r.parts.options } });
    assert.equal(await answer(r, 1), REFUSED, 'nothing has changed');
    const perKey = { ...r.parts.options.limits.perKey, maxBurst: 2 } as never;
    const limits = { ...r.parts.options.limits, perKey };
    r.renewLimits();
    r.relay.configure({ epoch: 3, seats, options: { ...r.parts.options, limits } });
    assert.deepEqual([await answer(r, 1), await answer(r, 1)], ['fine', 'fine']);
    assert.equal(await answer(r, 1), REFUSED);
  });
});

describe('tiers', () => {
  const rule = { maxRequestsPerSecond: 0.001, maxBurst: 1 };
  const limits: Limits = {
    perKey: rule,
    tiers: [{ name: 'gold', perKey: { ...rule, maxBurst: 3 } }, { name: 'plain' }],
  };
  const opened = (r: Rig, slot: number, principal: string, tier: string) =>
    r.open(slot, 'responses', { principal, rights: { tier } });

  test('a key has the limits of its tier, and what the tier does not say is as for everybody', async () => {
    const r = start(limits);
    opened(r, 3, 'c', 'gold');
    opened(r, 4, 'd', 'plain');
    // Its tier is gone, or never was there.
    opened(r, 5, 'e', 'platinum');
    const served = async (slot: number) => {
      for (let n = 0; ; n++) if ((await answer(r, slot)) === REFUSED) return n;
    };
    assert.deepEqual([await served(3), await served(4), await served(5)], [3, 1, 1]);
    assert.equal(await served(1), 1);
    r.assertIdle();
  });

  test('changed limits hold for tiers too', async () => {
    const r = start(limits);
    opened(r, 3, 'c', 'gold');
    const { seats } = r.parts;
    for (let n = 0; n < 3; n++) assert.equal(await answer(r, 3), 'fine');
    assert.equal(await answer(r, 3), REFUSED);
    const { perKey } = r.parts.options.limits;
    const tiers = [{ name: 'gold', perKey: { ...perKey, maxBurst: 2 } as never }];
    r.renewLimits();
    const changed = { ...r.parts.options.limits, tiers };
    r.relay.configure({ epoch: 2, seats, options: { ...r.parts.options, limits: changed } });
    for (let n = 0; n < 2; n++) assert.equal(await answer(r, 3), 'fine');
    assert.equal(await answer(r, 3), REFUSED);
  });
});

describe('what main knows of an admission', () => {
  test('a message that limits were charged for is said so, and a rerun is not asked again', async () => {
    const r = start({ perKey: { maxRequestsPerSecond: 0.001, maxBurst: 2 } });
    const first = r.ask(1);
    // Behind it on its lane: nothing of it has left when its worker dies.
    const second = r.ask(1);
    await r.settle();
    assert.deepEqual(
      [...r.admitted],
      [
        [first, 1],
        [second, 1],
      ],
    );
    assert.equal(await answer(r, 1), REFUSED);
    assert.equal(r.admitted.size, 2, 'nothing was charged');
    const again = r.ask(2, {}, { paid: 1, nonce: 77 });
    await r.settle();
    r.transport.last.answer('again');
    await r.settle();
    assert.equal(r.text(again), 'again');
    const { response } = r.events(again).at(-1) as unknown as {
      response: { x_millrace: { headers: Limited['headers'] } };
    };
    assert.equal(response.x_millrace.headers['x-ratelimit-limit-requests'], '2');
    assert.deepEqual(said(r, 'key'), [2, 1, 0, 0]);
    assert.equal(r.admitted.size, 2);
  });

  test('without limits nothing is said', async () => {
    const r = start({});
    assert.equal(await answer(r, 1), 'fine');
    assert.equal(r.admitted.size, 0);
    r.assertIdle();
  });
});

describe('requests that wait for their turn', () => {
  const perKey = {
    algorithm: 'LeakyBucket',
    maxRequestsPerSecond: 10,
    maxBurst: 3,
    paced: true,
  } as const;
  const asked = (r: Rig) => r.transport.exchanges.length;

  async function burst(limits: Limits = { perKey }, more: UserOptions = {}) {
    const r = start(limits, more);
    for (const slot of [3, 4, 5]) r.open(slot, 'responses', { principal: 'a' });
    const turns = [1, 3, 4, 5].map((slot) => r.ask(slot));
    await r.settle();
    return { r, turns };
  }

  test('each begins at its turn, the one beyond them is refused with the time to come back', async () => {
    const { r, turns } = await burst();
    assert.equal(r.end(turns[3]).code, REFUSED);
    assert.equal((r.events(turns[3])[0]['error'] as Limited).headers['retry-after-ms'], '100');
    assert.equal(r.events(turns[1])[0].type, 'response.created', 'it is told that it is in line');
    for (const due of [1, 2, 3]) {
      assert.equal(asked(r), due);
      await r.pass(90);
      assert.equal(asked(r), due, 'too early');
      r.transport.last.answer('fine');
      await r.pass(15);
    }
    for (const turn of turns.slice(0, 3)) assert.equal(r.text(turn), 'fine');
    assert.deepEqual(said(r, 'key'), [1, 1, 0, 2]);
    assert.deepEqual([...r.admitted.values()], [1, 101, 201]);
    r.assertIdle();
  });

  test('whoever cancels or leaves while it waits asks nobody, and its turn is not another’s', async () => {
    const { r, turns } = await burst();
    r.transport.last.answer('fine');
    const [created] = r.events(turns[1]);
    const { id } = created['response'] as { id: string };
    r.send(3, { type: 'response.cancel', response_id: id });
    r.leave(4);
    await r.settle();
    assert.equal(r.end(turns[1]).type, 'response.incomplete');
    await r.pass(500);
    assert.equal(asked(r), 1);
    await r.pass(60_000);
    assert.equal(r.world.timers, start({}).world.timers, 'no timer is left');
    r.assertIdle();
  });

  test('an engine that stops tells those that wait', async () => {
    const { r, turns } = await burst();
    r.transport.last.answer('fine');
    await r.settle();
    r.order(Kind.stop);
    await r.settle();
    assert.equal(asked(r), 1);
    for (const turn of turns.slice(1, 3)) assert.equal(r.end(turn).code, 'draining');
  });

  test('a rerun waits for the turn that a dead worker had taken, and not again', async () => {
    const r = start({ perKey });
    const turn = r.ask(1, {}, { paid: 151, nonce: 70 });
    const past = r.ask(2, {}, { paid: 1, nonce: 71 });
    await r.settle();
    assert.equal(asked(r), 1, 'that of the past');
    r.transport.last.answer('fine');
    await r.pass(145);
    assert.equal(asked(r), 1);
    await r.pass(15);
    r.transport.last.answer('fine');
    await r.settle();
    assert.deepEqual([r.text(past), r.text(turn)], ['fine', 'fine']);
    assert.deepEqual(said(r, 'key'), [0, 0, 0, 0]);
    r.assertIdle();
  });

  test('of several limits the latest turn counts, and a refusal by one takes no turn of another', async () => {
    const global = { ...perKey, maxRequestsPerSecond: 5, maxBurst: 2 };
    const { r, turns } = await burst({ perKey: { ...perKey, maxBurst: 4 }, global });
    assert.deepEqual(
      [r.end(turns[2]).code, r.end(turns[3]).code],
      [REFUSED, REFUSED],
      'by the limit of all',
    );
    assert.deepEqual(said(r, 'key'), [1, 0, 0, 1]);
    await r.pass(190);
    assert.equal(asked(r), 1, 'its key’s turn alone would have come');
    await r.pass(15);
    assert.equal(asked(r), 2);
  });

  test('in shadow nobody waits, and what would have is counted', async () => {
    const { r } = await burst({ perKey: { ...perKey, shadow: true } });
    assert.equal(asked(r), 4);
    assert.deepEqual(said(r, 'key'), [1, 0, 3, 0]);
  });
});

describe('limits of upstreams', () => {
  test('over it, another one is asked; when none may be, the request waits', async () => {
    const r = start({ perUpstream: { maxRequestsPerSecond: 2, maxBurst: 1 } });
    const asked = () => r.transport.exchanges.map(({ upstream }) => upstream);
    assert.equal(await answer(r, 1), 'fine');
    assert.equal(await answer(r, 1), 'fine');
    assert.deepEqual(asked().toSorted(), ['one', 'two']);
    const turn = r.ask(1);
    await r.settle();
    assert.equal(asked().length, 2, 'it waits');
    await r.pass(520);
    assert.equal(asked().length, 3);
    r.transport.last.answer('fine');
    await r.settle();
    assert.equal(r.text(turn), 'fine');
    assert.deepEqual(said(r, 'upstream').slice(0, 1), [3]);
    r.assertIdle();
  });

  test('an upstream that says with an answer that it was the last is left alone until its time', async () => {
    const r = start({});
    const spent = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '500ms' };
    const asked = () => r.transport.exchanges.map(({ upstream }) => upstream);
    r.ask(1);
    await r.settle();
    const [first] = asked();
    r.transport.last.sent().head(200, spent).say('fine').stop().done().end();
    await r.settle();
    for (let n = 0; n < 3; n += 1) assert.equal(await answer(r, 1), 'fine');
    assert.ok(
      asked()
        .slice(1)
        .every((name) => name !== first),
      asked().join(),
    );
    await r.pass(510);
    for (let n = 0; n < 2; n += 1) assert.equal(await answer(r, 1), 'fine');
    assert.ok(asked().slice(4).includes(first));
    r.assertIdle();
  });

  test('whoever waits longer than the line is told so', async () => {
    const perUpstream = { maxRequestsPerSecond: 0.01, maxBurst: 1 };
    const r = start({ perUpstream }, { pool: { waitTimeoutMs: 50 } });
    for (let n = 0; n < 2; n += 1) assert.equal(await answer(r, 1), 'fine');
    const turn = r.ask(1);
    await r.pass(100);
    assert.equal(r.end(turn).code, 'upstream_busy');
    r.assertIdle();
  });
});
