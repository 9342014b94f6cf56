/** An answer that breaks off after its first delta goes on at the upstream that kept it: every byte once, and the client sees nothing of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Kind } from '../../../src/memory/layout.ts';
import { KeepingUpstream } from '../../support/keeping-upstream.ts';
import { recordings } from '../../support/recordings.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';
import { seeded } from '../../support/seed.ts';

const stream = { gapTimeoutMs: 1000, connectTimeoutMs: 500, retryDelayMs: 100, maxRetries: 0 };
const upstream = {
  name: 'one',
  url: 'http://one.test/v1',
  models: ['demo'] as string[],
  resume: 'llama',
} as const;

const recorded = (name: string) => {
  const found = recordings().find((each) => each.name === `llama-server/${name}`);
  assert.ok(found, name);
  return Buffer.from(found.body);
};
const WHOLE = recorded('resume-3-from-0');
/** What the recorded body says, read in the plainest way. */
const TEXT = WHOLE.toString()
  .split('\n\n')
  .filter((event) => event.startsWith('data: {'))
  .map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? '')
  .join('');
/** From here on content has been seen. */
const COMMIT = WHOLE.indexOf('\n\n', WHOLE.indexOf('"content":"')) + 2;
/** From here on the finish reason has: an answer that is complete needs no more. */
const FINISH = WHOLE.indexOf('\n\n', WHOLE.indexOf('"finish_reason":"')) + 2;

async function begun(more: object = {}, body: Uint8Array = WHOLE) {
  const r = rig({ options: { upstreams: [upstream], stream: { ...stream, ...more } } });
  const keeper = new KeepingUpstream(r, () => body);
  r.open(1);
  const turn = r.ask(1);
  await r.settle();
  return { r, keeper, turn };
}

async function assertWhole(r: Rig, keeper: KeepingUpstream, turn: number, text = TEXT) {
  await keeper.settle();
  assert.match(r.end(turn).type, /^response\.(completed|incomplete)$/);
  assert.equal(r.text(turn), text);
  assert.equal(keeper.kept.size, 0, 'the upstream was told to forget');
  assert.deepEqual(
    r.outcomes(0).slice(1),
    [keeper.forgotten.length, 0],
    'one place for each answer',
  );
  r.assertIdle();
}

test('the recordings agree: what a client got before it left, and what came after, are one body', () => {
  const first = recorded('resume-1-cut');
  assert.deepEqual(first, WHOLE.subarray(0, first.length));
  assert.deepEqual(recorded('resume-4-from-2000'), WHOLE.subarray(2000));
  assert.ok(TEXT.length > 100);
});

test('cut at every byte and resumed there, the text is the recorded one', {
  timeout: 300_000,
}, async () => {
  const { r, keeper, turn } = await begun({ resumesMax: 1000 });
  keeper.say(COMMIT);
  keeper.finish();
  await assertWhole(r, keeper, turn);
  const early = Math.min(FINISH, COMMIT + 300);
  for (let cut = COMMIT; cut < FINISH; cut += process.env['SLOW'] || cut < early ? 1 : 97) {
    const asked = keeper.asked.length;
    const each = r.ask(1);
    await r.settle();
    keeper.say(cut).fail();
    await r.settle();
    assert.deepEqual(keeper.asked.slice(asked), [cut]);
    keeper.finish();
    await keeper.settle();
    assert.equal(r.text(each), TEXT, `cut at ${cut}`);
    r.end(each);
    r.frames.length = 0;
  }
  assert.equal(keeper.kept.size, 0);
  r.assertIdle();
});

describe('an answer that broke off', () => {
  test('by a reset, an early end or silence goes on; before its first delta it does not', async () => {
    const breaks: [string, (k: KeepingUpstream, r: Rig) => unknown][] = [
      ['reset', (k) => k.last.exchange.fail()],
      ['end', (k) => k.last.exchange.end()],
      ['silence', (_, r) => r.pass(1010)],
    ];
    for (const [name, play] of breaks) {
      const { r, keeper, turn } = await begun();
      const first = keeper.say(3000);
      await play(keeper, r);
      await r.settle();
      assert.equal(first.live, false, name);
      assert.deepEqual(keeper.asked, [3000]);
      assert.deepEqual(r.inFlight(), [1], 'the place is kept');
      keeper.finish();
      await assertWhole(r, keeper, turn);
      assert.equal(r.count('millrace_upstream_attempts_total', 0), 1);
      assert.equal(r.count('millrace_upstream_resumes_total', 0), 1);
      assert.equal(r.parts.facts.filter(({ fact }) => fact === 'attempt-failed').length, 0);
    }
    const { r, keeper, turn } = await begun();
    keeper.say(COMMIT - 10).fail();
    await keeper.settle();
    assert.equal(r.end(turn).code, 'upstream_reset');
    assert.deepEqual(keeper.asked, []);
    assert.equal(keeper.kept.size, 0, 'it would generate on');
    r.assertIdle();
  });

  test('fails as it broke off when the upstream does not know it any more', async () => {
    const { r, keeper, turn } = await begun();
    keeper.say(3000).fail();
    await r.settle();
    keeper.last.exchange.sent().head(404).bytes('{}').end();
    await r.settle();
    assert.equal(r.end(turn).code, 'upstream_reset');
    assert.equal(keeper.asked.length, 1);
    assert.equal(keeper.forgotten.length, 0, 'there is nothing to forget');
    assert.deepEqual(r.outcomes(0), [1, 0, 1]);
    r.assertIdle();
  });

  test('that ends in good order once more, without a byte, is cut short', async () => {
    const { r, keeper, turn } = await begun({}, WHOLE.subarray(0, 5000));
    keeper.say(5000).end();
    await r.settle();
    assert.deepEqual(keeper.asked, [5000]);
    keeper.finish();
    await keeper.settle();
    assert.equal(r.end(turn).code, 'upstream_truncated');
    assert.deepEqual(keeper.asked, [5000]);
    r.assertIdle();
  });

  test('is asked for at most resumesMax times, after growing waits', async () => {
    const { r, keeper, turn } = await begun({ resumesMax: 3 });
    keeper.say(3000).fail();
    await r.settle();
    for (let tries = 1; tries <= 3; tries += 1) {
      assert.equal(keeper.asked.length, tries);
      keeper.last.exchange.fail('MILLRACE_UPSTREAM_REFUSED');
      await r.settle();
      if (tries < 3) assert.equal(keeper.asked.length, tries, 'not at once');
      await r.pass(400);
    }
    await keeper.settle();
    assert.equal(r.end(turn).code, 'upstream_reset', 'what broke it first');
    assert.deepEqual(keeper.asked, [3000, 3000, 3000]);
    r.assertIdle();
  });

  test('waits no longer than the gap for the rest', async () => {
    const { r, keeper, turn } = await begun({ resumesMax: 1 });
    keeper.say(3000).fail();
    await r.settle();
    keeper.last.exchange.sent();
    await r.pass(1010);
    await keeper.settle();
    assert.equal(r.end(turn).code, 'upstream_reset');
    r.assertIdle();
  });
});

/** Where a resumed stream can stand. */
const phases: readonly (readonly [string, (r: Rig, k: KeepingUpstream) => unknown])[] = [
  ['before the cut', () => {}],
  ['asking, not connected', (_, k) => k.last.exchange.fail()],
  ['asking, sent', (_, k) => (k.last.exchange.fail(), k.last.exchange.sent())],
  ['resumed, nothing read', (_, k) => (k.last.exchange.fail(), k.last.exchange.sent().head())],
  ['resumed, reading', (_, k) => (k.last.exchange.fail(), k.say(100))],
  [
    'waiting to ask again',
    (_, k) => (k.last.exchange.fail(), k.last.exchange.fail('MILLRACE_UPSTREAM_REFUSED')),
  ],
];

describe('in every phase of a resume', () => {
  for (const [name, play] of phases) {
    test(`${name}: a cancel closes the socket and ends the answer at the upstream`, async () => {
      const { r, keeper, turn } = await begun();
      keeper.say(3000);
      await play(r, keeper);
      await r.settle();
      r.send(1, { type: 'response.cancel' });
      await keeper.settle();
      assert.equal(r.end(turn).type, 'response.incomplete');
      assert.equal(keeper.kept.size, 0, 'it was told to stop');
      r.assertIdle();
      await r.pass(2000);
      assert.equal(r.parts.facts.filter(({ fact }) => fact === 'fault').length, 0);
      r.assertIdle();
    });

    test(`${name}: a stopping worker leaves nothing behind`, async () => {
      const { r, keeper, turn } = await begun();
      keeper.say(3000);
      await play(r, keeper);
      await r.settle();
      r.order(Kind.stop);
      await r.settle();
      assert.equal(r.transport.closed, false, 'the upstream is told first');
      await keeper.settle();
      assert.equal(r.transport.closed, true);
      assert.equal(r.end(turn).type, 'response.failed');
      assert.equal(keeper.kept.size, 0);
      r.assertIdle();
    });
  }
});

describe('a client that does not read', () => {
  test('holds a resume back too: nothing is asked for before it reads, and no byte is lost', async () => {
    const r = rig({
      options: { upstreams: [upstream], stream, session: { creditBytes: 16 * 1024 } },
    });
    const body = Buffer.from(WHOLE.toString().replace('data: [DONE]\n\n', ''));
    const long = Buffer.concat([
      ...Array.from({ length: 20 }, () =>
        body.subarray(0, WHOLE.indexOf('data: {"choices":[{"finish_reason":"')),
      ),
      body.subarray(WHOLE.indexOf('data: {"choices":[{"finish_reason":"')),
    ]);
    const keeper = new KeepingUpstream(r, () => long);
    r.open(1);
    const turn = r.ask(1);
    await r.settle();
    r.granting = false;
    let exchange = keeper.say(3000);
    while (!exchange.paused) {
      assert.ok(keeper.last.body.length > 10_000, 'it is never paused');
      exchange = keeper.say(500);
      await r.settle();
    }
    // One read that was on its way, then the end of the connection.
    exchange.paused = false;
    keeper.say(2000);
    exchange.paused = true;
    exchange.fail();
    await r.pass(5000);
    assert.deepEqual(keeper.asked, [], 'the clocks stand still, and nothing is asked');
    r.granting = true;
    r.grant(1);
    await r.settle();
    assert.equal(keeper.asked.length, 1);
    keeper.finish();
    for (let n = 0; n < 100 && !r.hasEnd(turn); n += 1) {
      r.grant(1);
      await keeper.settle();
    }
    await assertWhole(r, keeper, turn, TEXT.repeat(20));
  });
});

test('random cuts, again and again: every byte once, one end, nothing left over', async () => {
  const { next, seed } = seeded('resume');
  const runs = process.env['SLOW'] ? 400 : 20;
  let cuts = 0;
  for (let run = 0; run < runs; run += 1) {
    const { r, keeper, turn } = await begun({ resumesMax: 1000, outputBytesMax: 1 << 20 });
    keeper.say(COMMIT + Math.floor(next() * 200));
    for (let n = 0; n < 2000 && !r.hasEnd(turn); n += 1) {
      const roll = next();
      const { last } = keeper;
      if (!last.exchange.live) await r.pass(50);
      else if (roll < 0.6) keeper.say(1 + Math.floor(next() * 900));
      else if (roll < 0.7) last.exchange.fail();
      else if (roll < 0.75 && last.body.length > 300) keeper.say(200).end();
      else if (roll < 0.8) await r.pass(1010);
      else await r.settle();
      if (last.body.length === 0 && last.exchange.live && last.conversation !== '')
        last.exchange.end();
    }
    cuts += keeper.asked.length;
    try {
      await assertWhole(r, keeper, turn);
    } catch (thrown) {
      throw new Error(`run ${run} of SEED=${seed}, asked ${keeper.asked.join()}`, {
        cause: thrown,
      });
    }
  }
  assert.ok(cuts > runs, `${cuts} cuts`);
});
