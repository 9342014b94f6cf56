/**
 * Budgets under random clients, upstreams that break, and deaths of workers: never more answers at once than a key may have, and in the end nothing is set aside any more,
 * whoever has died with it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserOptions } from '../../src/options/schema.ts';
import { limitScopes, limitVerdicts } from '../../src/policy/limit/limit-scopes.ts';
import { EngineSim } from '../support/engine-sim.ts';
import type { FakeConnection } from '../support/fake-connection.ts';
import { below, type Chance, dice, PlayedUpstream, pick } from '../support/played-upstream.ts';
import { seeded } from '../support/seed.ts';

const RUNS = process.env['SLOW'] ? 1_000 : 4;
const STEPS = 400;
const STREAMS_MAX = 3;
const KEYS = ['a', 'b'];

const options: UserOptions = {
  upstreams: [{ name: 'one', url: 'http://one.test/v1' }],
  stream: { maxRetries: 0, gapTimeoutMs: 1_000, firstDeltaTimeoutMs: 1_500, deadlineMs: 3_000 },
  limits: {
    tokens: {
      perKey: { streamsMax: STREAMS_MAX, outputTokensPerMinute: 3_000, inputTokensPerMinute: 500 },
      global: { streamsMax: STREAMS_MAX + 1, tokensPerDay: 100_000 },
      outputTokensAssumed: 100,
      bytesPerToken: 1,
    },
  },
};

const seen = { killed: 0, refused: 0, most: 0, allowed: 0 };

async function play(chance: Chance): Promise<void> {
  const sim = new EngineSim(options, () => chance.next());
  const upstreams: PlayedUpstream[] = [];
  sim.onOpen = (exchange) =>
    void upstreams.push(new PlayedUpstream(exchange, chance, upstreams.length));
  await sim.start();
  const clients: FakeConnection[] = [];
  const connect = () => void clients.push(sim.connect({ principal: pick(chance, KEYS) }));
  for (let n = 0; n < 4; n++) connect();
  for (let n = 0; n < STEPS; n++) {
    const running = upstreams.filter(({ exchange }) => exchange.live);
    // Not by sockets: a body may still be ending when its stream has ended.
    seen.most = Math.max(seen.most, sim.running);
    assert.ok(sim.running <= STREAMS_MAX + 1, `${sim.running} at once`);
    const ready = running.filter(({ steps }) => steps.length > 0);
    if (ready.length > 0) pick(chance, ready).steps.shift()?.();
    disturb(sim, clients, connect, chance);
    if (chance.next() < 0.5) await sim.world.settle();
    if (chance.next() < 0.02) await sim.world.pass(below(chance, 1_500));
  }
  for (const connection of clients) if (connection.open) sim.leave(connection);
  await sim.world.pass(5_000);
  assert.equal(sim.requests.count, 0, 'requests kept');
  assert.deepEqual([sim.book.held(0), sim.book.held(1)], [0, 0], 'entries of the book');
  const streams = said(sim, 'streams');
  seen.allowed += streams[0];
  seen.refused += streams[1];
  await sim.world.pass(120_000);
  // Every place is free again: so many begin at once, and one more does not.
  sim.onOpen = () => {};
  const all = sim.connect({ principal: 'a' });
  for (let n = 0; n <= STREAMS_MAX; n++)
    sim.send(all, {
      type: 'response.create',
      stream_id: `l${n}`,
      response: { model: 'demo', input: 'go', max_output_tokens: 1 },
    });
  await sim.world.pass(120_000);
  assert.deepEqual(said(sim, 'streams')[1] - streams[1], 1, 'places that were lost');
  sim.leave(all);
}

const said = (sim: EngineSim, scope: (typeof limitScopes)[number]) =>
  limitVerdicts.map((_, at) =>
    sim.count('millrace_limit_checks_total', limitScopes.indexOf(scope), at),
  );

function disturb(
  sim: EngineSim,
  clients: readonly FakeConnection[],
  connect: () => void,
  chance: Chance,
): void {
  const roll = chance.next();
  const client = pick(chance, clients);
  if (roll < 0.02 && clients.length < 8) connect();
  else if (roll < 0.15 && client.open) {
    const input = 'x'.repeat(below(chance, 60));
    const stream_id = `lane-${below(chance, 3)}`;
    sim.send(client, { type: 'response.create', stream_id, response: { model: 'demo', input } });
  } else if (roll < 0.17 && client.open) {
    sim.send(client, { type: 'response.cancel', stream_id: `lane-${below(chance, 3)}` });
  } else if (roll < 0.18 && client.open && clients.length > 2) sim.leave(client);
  else if (roll < 0.2 && client.open) sim.read(client);
  else if (roll < 0.21) seen.killed += sim.kill(below(chance, 2)) ? 1 : 0;
}

test('deaths, cancels, failures: never more at once than a key may have, nothing set aside in the end', async (t) => {
  const { seed } = seeded('budgets');
  for (let run = 0; run < RUNS; run++) {
    try {
      await play(dice(seed + run * 7919));
    } catch (thrown) {
      throw new Error(`run ${run} of SEED=${seed}: ${String(thrown)}`, { cause: thrown });
    }
  }
  t.diagnostic(JSON.stringify(seen));
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no run met ${what}`);
});
