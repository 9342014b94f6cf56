/**
 * Random upstreams, clients and times against the one promise: what a client saw is a prefix of what one upstream said, in order,
 * with exactly one end; equal to the whole when the end says so; and nothing is left over.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomes } from '../../../src/observe/metrics.ts';
import { below, type Chance, dice, PlayedUpstream, pick } from '../../support/played-upstream.ts';
import { type Rig, rig } from '../../support/relay-rig.ts';
import { seeded } from '../../support/seed.ts';

const RUNS = process.env['SLOW'] ? 2000 : 30;
/** What the runs came across: a property that met nothing proves nothing. */
const seen = { failovers: 0, hedges: 0, pauses: 0, finished: 0, failed: 0, cancelled: 0 };

/** What a client of this run does beside reading. */
async function disturb(r: Rig, chance: Chance, turns: number[]): Promise<void> {
  const roll = chance.next();
  if (roll < 0.1) r.granting = !r.granting;
  else if (roll < 0.3) r.grant(1, below(chance, r.parts.options.session.creditBytes));
  else if (roll < 0.33) await r.pass(below(chance, 3000));
  else if (roll < 0.34) r.reading = !r.reading;
  else if (roll < 0.345)
    r.send(1, { type: 'response.cancel', stream_id: `lane${below(chance, 3)}` });
  else if (roll < 0.4 && turns.length < 8)
    turns.push(r.ask(1, { stream_id: `lane${below(chance, 3)}` }));
}

/** Text as it comes or cut, at once or in a rhythm. */
const pieces = (chance: Chance) => ({
  chunkSize: below(chance, 8),
  delayMs: chance.next() < 0.5 ? 0 : below(chance, 5),
});

async function play(chance: Chance): Promise<void> {
  const r = rig({
    chance: () => chance.next(),
    options: {
      upstreams: ['one', 'two', 'three'].map((name) => ({ name, url: `http://${name}.test/v1` })),
      session: { creditBytes: 16 * 1024, runningRequestsMax: 3 },
      chunks: chance.next() < 0.5 ? {} : { responses: pieces(chance) },
      stream: {
        gapTimeoutMs: 1000,
        firstDeltaTimeoutMs: 1500,
        deadlineMs: 5000,
        headersTimeoutMs: 800,
        connectTimeoutMs: 400,
        finishGraceMs: 50,
        hedgeAfterMs: chance.next() < 0.5 ? 0 : 1 + below(chance, 600),
        hedgeShareMax: 1,
        minTokensPerSecond: chance.next() < 0.5 ? 0 : 1,
        rateWindowMs: 700,
      },
    },
  });
  const parts: PlayedUpstream[] = [];
  r.transport.onOpen = (exchange) =>
    void parts.push(new PlayedUpstream(exchange, chance, parts.length));
  r.open(1);
  const turns = [r.ask(1, { stream_id: 'lane0' }), r.ask(1, { stream_id: 'lane1' })];
  for (let n = 0; n < 600 && !turns.every((turn) => r.hasEnd(turn)); n += 1) {
    const ready = parts.filter(({ exchange, steps }) => exchange.live && steps.length > 0);
    if (ready.length > 0) pick(chance, ready).steps.shift()?.();
    await disturb(r, chance, turns);
    if (chance.next() < 0.5) await r.settle();
  }
  // Whatever is left: the client reads, upstreams say the rest, and time passes.
  r.reading = true;
  r.granting = true;
  r.transport.onOpen = (exchange) =>
    void parts.push(new PlayedUpstream(exchange, chance, parts.length));
  for (
    let n = 0;
    n < 60 && !(turns.every((turn) => r.hasEnd(turn)) && r.transport.sockets === 0);
    n += 1
  ) {
    r.grant(1);
    for (const { exchange, steps } of parts)
      while (exchange.live && steps.length > 0) steps.shift()?.();
    await r.pass(500);
  }
  // Answers to cancels that found nothing may still wait for credit.
  r.grant(1);
  await r.settle();
  for (const turn of turns) judge(r, turn, parts);
  r.assertIdle();
  seen.failovers += r.count('millrace_failovers_total');
  seen.hedges += r.count('millrace_hedges_total');
  seen.pauses += r.count('millrace_backpressure_total');
  for (const [at, outcome] of outcomes.entries()) {
    seen[outcome] += r.count('millrace_streams_ended_total', at);
  }
}

function judge(r: Rig, turn: number, parts: readonly PlayedUpstream[]): void {
  const end = r.end(turn);
  const text = r.text(turn);
  if (text === '') {
    assert.notEqual(end.type, 'response.completed', 'a whole answer without its text');
    return;
  }
  const part = parts[Number.parseInt(text, 10)];
  assert.ok(part, `nobody said ${JSON.stringify(text.slice(0, 40))}`);
  assert.ok(part.whole.startsWith(text), 'a prefix of what that upstream said');
  if (end.type === 'response.completed')
    assert.equal(text, part.whole, 'completed means the whole');
  else assert.match(end.type, /^response\.(failed|incomplete)$/);
}

test('random faults, slow clients and cancels: always a prefix, always one end, nothing left over', async (t) => {
  const { seed } = seeded('relay');
  for (let run = 0; run < RUNS; run += 1) {
    const chance = dice(seed + run * 7919);
    try {
      await play(chance);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.stack : String(thrown);
      throw new Error(`run ${run} of SEED=${seed}: ${why}`, { cause: thrown });
    }
  }
  t.diagnostic(JSON.stringify(seen));
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no run met ${what}`);
});
