/**
 * Goal: retries stay a small share of the load when upstreams fail half of what they are asked. Method: the whole engine in simulated time, four upstreams each of
 * which refuses every second request with 500 at once, streams coming evenly; attempts are counted where they arrive.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineSim } from '../support/engine-sim.ts';
import { dice } from '../support/played-upstream.ts';
import { type Event, isTerminal } from '../support/responses.ts';
import { seeded } from '../support/seed.ts';

const STREAMS = process.env['SLOW'] ? 20_000 : 1_500;
const PER_SECOND = 100;
const SHARE = 0.2;

for (const breaker of [true, false]) {
  test(`half of all attempts fail, circuits ${breaker ? 'on' : 'off'}: retries add at most a fifth to the load`, async (t) => {
    const chance = dice(seeded('retry-load').seed);
    const upstreams = ['a', 'b', 'c', 'd'].map((name) => ({
      name,
      url: `http://${name}.test/v1`,
      minConnections: 1_000,
      maxConnections: 1_000,
    }));
    const balance = { enableCircuitBreaker: breaker, healthCheckIntervalMs: 60_000 };
    const sim = new EngineSim({ upstreams, balance }, () => chance.next());
    await sim.start();
    let attempts = 0;
    sim.onOpen = (exchange) => {
      attempts++;
      const isGood = chance.next() < 0.5;
      // Answers take a second, failures come at once: as few retries run as can.
      sim.world.ticker.after(1, () => {
        if (exchange.cancelled) return;
        exchange.sent();
        if (!isGood) {
          exchange.head(500).end();
          return;
        }
        exchange.head().say('well');
        sim.world.ticker.after(1_000, () => {
          if (!exchange.cancelled) exchange.stop().done().end();
        });
      });
    };
    const clients = Array.from({ length: 2 * PER_SECOND }, () => sim.connect());
    await sim.world.pass(10);
    for (let n = 0; n < STREAMS; n++) {
      sim.send(clients[n % clients.length], {
        type: 'response.create',
        response: { model: 'demo', input: 'go' },
      });
      await sim.world.pass(1_000 / PER_SECOND);
    }
    await sim.world.pass(5_000);
    const ends = clients.flatMap(({ sent }) =>
      sent.map(({ text }) => JSON.parse(text) as Event).filter(isTerminal),
    );
    assert.equal(ends.length, STREAMS);
    const good = ends.filter(({ type }) => type === 'response.completed').length;
    const load = attempts / STREAMS;
    t.diagnostic(`${load.toFixed(3)} attempts a stream, ${good} of ${STREAMS} answered`);
    assert.ok(load <= 1 + SHARE, `${load} attempts a stream`);
    assert.ok(load >= 1 + 0.7 * SHARE, 'the budget is used');
    assert.ok(good / STREAMS > 0.53, 'and it helps');
  });
}
