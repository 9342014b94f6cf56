import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Draw, Loads } from '../../../../src/policy/balance/balancer.ts';
import { createBalancer, type Strategy } from '../../../../src/policy/balance/balancers.ts';
import { observed } from '../../../../src/policy/balance/peak-ewma.ts';
import { smooth } from '../../../../src/policy/balance/weighted-round-robin.ts';
import { runs } from '../../../support/runs.ts';
import { seeded } from '../../../support/seed.ts';

interface Fake extends Loads {
  readonly running: number[];
  readonly weights: number[];
  readonly firstUs: number[];
  changed: number;
}

function loads(weights: number[] = [], start = 0): Fake {
  const cursors = new Map<number, number>();
  const fake: Fake = {
    running: [],
    weights,
    firstUs: [],
    changed: 1,
    turn(key) {
      const at = cursors.get(key) ?? start;
      cursors.set(key, (at + 1) >>> 0);
      return at;
    },
    inFlight: (upstream) => fake.running[upstream] ?? 0,
    inFlightOf: (upstreams, into) => {
      for (const [at, upstream] of upstreams.entries()) into[at] = fake.inFlight(upstream);
    },
    weight: (upstream) => fake.weights[upstream] ?? 1,
    epoch: () => fake.changed,
    firstTokenUs: (upstream) => fake.firstUs[upstream] ?? 0,
  };
  return fake;
}

const draw = (chance: number, key = 0): Draw => ({ key, chance, nowMs: 0 });
const strategies: readonly Strategy[] = [
  'RoundRobin',
  'LeastConnections',
  'WeightedRoundRobin',
  'Random',
  'P2C',
];

/** How often each upstream is picked. */
function count(n: number, pick: (at: number) => number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let at = 0; at < n; at++) {
    const picked = pick(at);
    counts.set(picked, (counts.get(picked) ?? 0) + 1);
  }
  return counts;
}

suite('every balancer', () => {
  for (const strategy of strategies) {
    test(`${strategy} answers one of the candidates, whatever loads, weights and chance are`, () => {
      const anything = fc.record({
        candidates: fc.uniqueArray(fc.nat(63), { minLength: 1, maxLength: 40 }),
        running: fc.array(fc.nat(1000), { minLength: 64, maxLength: 64 }),
        weights: fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 64, maxLength: 64 }),
        chances: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
          minLength: 1,
        }),
        start: fc.integer(),
      });
      fc.assert(
        fc.property(anything, ({ candidates, running, weights, chances, start }) => {
          const state = loads(weights, start >>> 0);
          state.running.push(...running);
          const balancer = createBalancer(strategy);
          for (const chance of chances) {
            assert.ok(candidates.includes(balancer.pick(candidates, state, draw(chance))));
          }
        }),
        runs(200, 5_000),
      );
    });
  }
});

suite('RoundRobin', () => {
  test('candidates take turns, whoever asks', () => {
    const state = loads();
    const balancer = createBalancer('RoundRobin');
    const picked = Array.from({ length: 6 }, () => balancer.pick([4, 7, 9], state, draw(0.5)));
    assert.deepEqual(picked, [4, 7, 9, 4, 7, 9]);
  });

  test('two models that alternate both meet every upstream', () => {
    const state = loads();
    const balancer = createBalancer('RoundRobin');
    const met = [new Set<number>(), new Set<number>()];
    for (let n = 0; n < 8; n++) met[n % 2].add(balancer.pick([3, 5], state, draw(0, n % 2)));
    assert.deepEqual(met, [new Set([3, 5]), new Set([3, 5])]);
  });
});

suite('Random', () => {
  test('every candidate gets exactly its share of an even grid of chances', () => {
    const balancer = createBalancer('Random');
    const counts = count(9_000, (at) =>
      balancer.pick([1, 2, 3], loads(), draw((at + 0.5) / 9_000)),
    );
    assert.deepEqual([...counts.values()], [3_000, 3_000, 3_000]);
  });
});

suite('WeightedRoundRobin', () => {
  test('5, 1, 1 is spread as A A B A C A A', () => {
    assert.deepEqual([...smooth([5, 1, 1])], [0, 0, 1, 0, 2, 0, 0]);
  });

  test('weights with a common divisor make a short cycle', () => {
    assert.equal(smooth([40_000, 20_000]).length, 3);
  });

  test('in every cycle each upstream has exactly its weight, and in every prefix at most one more or less than its share', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weights, (each) => {
        const steps = smooth(each);
        const total = steps.length;
        const sum = each.reduce((a, b) => a + b, 0);
        const seen = each.map(() => 0);
        for (const [at, picked] of steps.entries()) {
          seen[picked] += 1;
          for (const [index, weight] of each.entries()) {
            const due = ((at + 1) * weight) / sum;
            assert.ok(Math.abs(seen[index] - due) < each.length, `${each.join(' ')} at ${at}`);
          }
        }
        assert.deepEqual(
          seen,
          each.map((weight) => (weight * total) / sum),
        );
      }),
      runs(300, 10_000),
    );
  });

  test('huge uneven weights keep a bounded cycle, and nobody is left out', () => {
    const weights = Array.from({ length: 256 }, (_, at) =>
      at === 0 ? 65_535 : at === 1 ? 65_521 : 1,
    );
    const steps = smooth(weights);
    assert.ok(steps.length <= 8_192, `${steps.length} steps`);
    assert.equal(new Set(steps).size, 256);
  });

  test('shares of every cycle are exact, wherever it begins', () => {
    const state = loads([3, 2, 1], 4);
    const balancer = createBalancer('WeightedRoundRobin');
    const counts = count(600, () => balancer.pick([0, 1, 2], state, draw(0)));
    assert.deepEqual(
      [0, 1, 2].map((at) => counts.get(at)),
      [300, 200, 100],
    );
  });

  test('a changed weight counts from the next pick on', () => {
    const state = loads([1, 1]);
    const balancer = createBalancer('WeightedRoundRobin');
    const candidates = [0, 1];
    balancer.pick(candidates, state, draw(0));
    state.weights[0] = 9;
    state.changed += 1;
    const counts = count(100, () => balancer.pick(candidates, state, draw(0)));
    assert.equal(counts.get(0), 90);
  });
});

suite('LeastConnections', () => {
  const balancer = createBalancer('LeastConnections');

  test('up to 16 candidates the least loaded for its weight is always found', () => {
    const some = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 16,
    });
    fc.assert(
      fc.property(
        some,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (each, chance) => {
          const state = loads(each.map(([, weight]) => weight));
          state.running.push(...each.map(([running]) => running));
          const picked = balancer.pick([...each.keys()], state, draw(chance));
          const least = Math.min(...each.map(([running, weight]) => running / weight));
          assert.equal(each[picked][0] / each[picked][1], least);
        },
      ),
      runs(500, 10_000),
    );
  });

  test('ties are broken evenly', () => {
    const { next } = seeded('ties');
    const counts = count(30_000, () => balancer.pick([0, 1, 2, 3, 4], loads(), draw(next())));
    for (const [upstream, n] of counts) assert.ok(Math.abs(n - 6_000) < 500, `${upstream}: ${n}`);
  });

  test('among 256, streams that stay spread within a few of each other', () => {
    const { next } = seeded('spread');
    const state = loads();
    const candidates = Array.from({ length: 256 }, (_, at) => at);
    for (const at of candidates) state.running[at] = 0;
    for (let n = 0; n < 25_600; n++)
      state.running[balancer.pick(candidates, state, draw(next()))] += 1;
    const [least, most] = [Math.min(...state.running), Math.max(...state.running)];
    assert.ok(most - least <= 12, `between ${least} and ${most} at 100 on average`);
  });
});

suite('P2C', () => {
  const balancer = createBalancer('P2C');

  test('an upstream that is ten times slower gets only draws without a better one', () => {
    const { next } = seeded('slow');
    const state = loads();
    state.firstUs.push(100_000, 100_000, 100_000, 1_000_000);
    const counts = count(10_000, () => balancer.pick([0, 1, 2, 3], state, draw(next())));
    assert.equal(counts.get(3), undefined);
  });

  test('running streams count as much as time', () => {
    const state = loads();
    state.firstUs.push(100_000, 300_000);
    state.running.push(2, 0);
    const both = [0, 0.4, 0.6, 0.99].map((chance) => balancer.pick([0, 1], state, draw(chance)));
    assert.deepEqual(new Set(both), new Set([0, 1]), 'equal cost: the first draw stays');
    state.running[0] = 3;
    assert.equal(balancer.pick([0, 1], state, draw(0)), 1);
  });

  test('both draws are uniform and never the same upstream', () => {
    const seen = new Map<string, number>();
    for (let at = 0; at < 12_000; at++) {
      const pair: number[] = [];
      const state = { ...loads(), inFlight: (upstream: number) => (pair.push(upstream), 0) };
      balancer.pick([0, 1, 2, 3], state, draw((at + 0.5) / 12_000));
      assert.notEqual(pair[0], pair[1]);
      seen.set(String(pair), (seen.get(String(pair)) ?? 0) + 1);
    }
    assert.deepEqual(
      [...seen.values()],
      Array.from({ length: 12 }, () => 1_000),
    );
  });
});

suite('the peak-EWMA', () => {
  test('believes a slow answer at once and a fast one slowly', () => {
    assert.equal(observed(100, 5, 900), 900);
    const after = observed(900, 100, 100);
    assert.ok(after > 880 && after < 900, String(after));
  });

  test('forgets after some silence', () => {
    assert.ok(observed(900_000, 60_000, 100) < 3_000);
  });
});
