import type { Balancer, Loads } from './balancer.ts';
import { firstChoice, secondChoice } from './two-choices.ts';

/** Up to here every candidate is looked at; above, the better of two: nearly as even, and its cost does not grow. */
const SCAN_MAX = 16;

/**
 * The fewest running streams for its weight; ties are broken at random, or an idle pool would send everybody to its first upstream.
 *
 * Two random choices instead of a scan: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
 */
export function createLeastConnections(): Balancer {
  const running = new Float64Array(SCAN_MAX);
  const weights = new Float64Array(SCAN_MAX);
  /** What the weights were read for. */
  let known: readonly number[] | undefined;
  let source: Loads | undefined;
  let epoch = 0;

  function weigh(candidates: readonly number[], loads: Loads): void {
    const now = loads.epoch();
    if (known === candidates && source === loads && epoch === now) return;
    known = candidates;
    source = loads;
    epoch = now;
    for (let at = 0; at < candidates.length; at++) weights[at] = loads.weight(candidates[at]);
  }

  return {
    name: 'LeastConnections',
    pick(candidates, loads, { chance }) {
      const { length } = candidates;
      if (length > SCAN_MAX) {
        const a = candidates[firstChoice(length, chance)];
        const b = candidates[secondChoice(length, chance)];
        return loads.inFlight(b) * loads.weight(a) < loads.inFlight(a) * loads.weight(b) ? b : a;
      }
      weigh(candidates, loads);
      loads.inFlightOf(candidates, running);
      return candidates[least(running, weights, length, chance)];
    },
  };
}

/** Position of the smallest quotient. */
function least(
  running: Float64Array,
  weights: Float64Array,
  length: number,
  chance: number,
): number {
  let best = 0;
  let ties = 1;
  let dice = (chance * 2 ** 32) | 0;
  for (let at = 1; at < length; at++) {
    const difference = running[at] * weights[best] - running[best] * weights[at];
    if (difference > 0) continue;
    if (difference < 0) {
      best = at;
      ties = 1;
      continue;
    }
    // The k-th of equals replaces its forerunner with probability 1/k: each is as likely as any other.
    ties++;
    dice = (Math.imul(dice, 0x5851f42d) + 0x14057b7f) | 0;
    if (((dice >>> 8) * ties) >>> 0 < 2 ** 24) best = at;
  }
  return best;
}
