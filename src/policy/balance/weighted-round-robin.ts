import type { Balancer, Loads } from './balancer.ts';

/** Steps of one cycle at most; with more, weights are scaled down to it and each share is off by at most one step in the cycle. */
const STEPS_MAX = 8_192;
/** Work to build a cycle: steps times candidates. */
const WORK_MAX = 2 ** 19;
/** Cycles kept: one for each set of candidates in use. */
const CYCLES_MAX = 64;

interface Cycle {
  readonly candidates: readonly number[];
  readonly epoch: number;
  readonly steps: Uint16Array;
}

/**
 * Turns by weight, spread evenly: 5, 1, 1 is A A B A C A A, not A A A A A B C. The order of a whole cycle is worked out once per set of candidates and
 * weights (the current-weight method of nginx); then a pick is one look at the cursor. The shares of each thread's cycle are exact.
 */
export function createWeightedRoundRobin(): Balancer {
  const cycles: Cycle[] = [];
  let last: Cycle | undefined;

  function cycleOf(candidates: readonly number[], loads: Loads, epoch: number): Cycle {
    const known = cycles.find((each) => each.epoch === epoch && same(each.candidates, candidates));
    if (known) return { ...known, candidates };
    const cycle = {
      candidates,
      epoch,
      steps: smooth(candidates.map((each) => loads.weight(each))),
    };
    for (let at = cycles.length - 1; at >= 0; at--)
      if (cycles[at].epoch !== epoch) cycles.splice(at, 1);
    if (cycles.length >= CYCLES_MAX) cycles.shift();
    cycles.push(cycle);
    return cycle;
  }

  return {
    name: 'WeightedRoundRobin',
    pick(candidates, loads, { key }) {
      const epoch = loads.epoch();
      if (last === undefined || last.candidates !== candidates || last.epoch !== epoch) {
        last = cycleOf(candidates, loads, epoch);
      }
      const { steps } = last;
      return candidates[steps[loads.turn(key) % steps.length]];
    },
  };
}

/** One cycle: positions of candidates, each as often as its weight says, as far apart as they can be. */
export function smooth(weights: readonly number[]): Uint16Array {
  const shares = reduced(weights);
  let total = 0;
  for (const share of shares) total += share;
  const current = new Float64Array(shares.length);
  const steps = new Uint16Array(total);
  for (let step = 0; step < total; step++) {
    let best = 0;
    for (let at = 0; at < shares.length; at++) {
      current[at] += shares[at];
      if (current[at] > current[best]) best = at;
    }
    current[best] -= total;
    steps[step] = best;
  }
  return steps;
}

/** The weights in lowest terms, scaled down where a cycle would get too long; nobody's share becomes 0. */
function reduced(weights: readonly number[]): number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0) || 1;
  const shares = weights.map((weight) => Math.max(1, weight / divisor));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const max = Math.max(weights.length, Math.min(STEPS_MAX, Math.floor(WORK_MAX / weights.length)));
  if (total <= max) return shares;
  return shares.map((share) => Math.max(1, Math.round((share * max) / total)));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}
