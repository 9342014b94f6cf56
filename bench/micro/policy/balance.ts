/** Choosing an upstream: every strategy over the shared table, as workers use it. CPU time, in millions of picks a second. */
import { UpstreamWord } from '../../../src/memory/layout.ts';
import { allocateUpstreamTable, openUpstreamTable } from '../../../src/memory/upstream-table.ts';
import type { Draw } from '../../../src/policy/balance/balancer.ts';
import { createBalancer, type Strategy } from '../../../src/policy/balance/balancers.ts';
import { TableLoads } from '../../../src/worker/loads.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';

const PICKS = 4_000_000;
const PICKS_QUICK = 100_000;
const WORKERS = 2;

export const balance: Bench = {
  name: 'balance',
  title: `Choosing an upstream over the shared table of ${WORKERS} workers, CPU`,
  run: (settings) => Promise.resolve(measure(settings)),
};

interface Case {
  readonly strategy: Strategy;
  readonly upstreams: number;
  /** With the place taken and given back. */
  readonly places: boolean;
  /** Millions a second. */
  readonly goal?: number;
}

const cases: readonly Case[] = [
  { strategy: 'RoundRobin', upstreams: 256, places: false, goal: 90 },
  { strategy: 'Random', upstreams: 256, places: false, goal: 90 },
  { strategy: 'WeightedRoundRobin', upstreams: 256, places: false, goal: 90 },
  { strategy: 'LeastConnections', upstreams: 16, places: true, goal: 15 },
  { strategy: 'LeastConnections', upstreams: 256, places: true, goal: 10 },
  { strategy: 'P2C', upstreams: 16, places: true },
];

function measure(settings: Settings): Outcome {
  const picks = settings.quick ? PICKS_QUICK : PICKS;
  const measured = cases.map((each) => {
    const run = runner(each);
    for (let warm = 0; warm < 3; warm++) run(picks / 10);
    const values = Array.from({ length: settings.rounds }, (_, round) => {
      settings.progress(`${titleOf(each)}, round ${round + 1}`);
      return millionsASecond(run, picks);
    });
    return { each, values };
  });
  return {
    readings: measured.map(({ each, values }) => ({ what: titleOf(each), unit: 'M/s', values })),
    goals: measured.flatMap(({ each, values }) =>
      each.goal === undefined
        ? []
        : [
            {
              what: titleOf(each),
              sense: 'at least' as const,
              limit: each.goal,
              values,
              unit: 'M/s',
            },
          ],
    ),
    notes: [
      'One thread picks; the round-robin cursor and the places are shared words, taken by atomic operations.',
    ],
  };
}

const titleOf = ({ strategy, upstreams, places }: Case) =>
  `${strategy} of ${upstreams}${places ? ', with acquire and release' : ''}`;

function runner({ strategy, upstreams, places }: Case): (picks: number) => number {
  const table = openUpstreamTable(allocateUpstreamTable(upstreams, WORKERS));
  const loads = new TableLoads(table, 0);
  const candidates = Array.from({ length: upstreams }, (_, at) => at);
  for (const at of candidates) {
    table.set(at, UpstreamWord.weight, 1 + (at % 5));
    loads.observe(at, 100_000 + at, 0);
  }
  const balancer = createBalancer(strategy);
  const draw = { key: 0, chance: 0, nowMs: 0 } satisfies Draw;
  let state = 1;
  return (picks) => {
    let sum = 0;
    for (let at = 0; at < picks; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      draw.chance = (state >>> 0) / 2 ** 32;
      const picked = balancer.pick(candidates, loads, draw);
      if (places) {
        table.acquire(picked, 0);
        table.release(picked, 0, true);
      }
      sum += picked;
    }
    return sum;
  };
}

function millionsASecond(run: (picks: number) => number, picks: number): number {
  const before = process.cpuUsage();
  run(picks);
  const { user, system } = process.cpuUsage(before);
  return picks / (user + system);
}
