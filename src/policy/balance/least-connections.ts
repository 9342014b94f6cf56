import type { Balancer, Loads } from './balancer.ts';
import { firstChoice, secondChoice } from './two-choices.ts';

/** Up to here every candidate is looked at; above, the better of two: nearly as even, and its cost does not grow. */
const SCAN_MAX = 16;

/**
 * The fewest running streams for its weight; ties are broken at random, or an idle pool would send everybody to its first upstream.
 *
 * Two random choices instead of a scan: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
 */
export const LeastConnections: Balancer = {
  name: 'LeastConnections',
  pick(candidates, loads, { chance }) {
    if (candidates.length <= SCAN_MAX) return scan(candidates, loads, chance);
    const a = candidates[firstChoice(candidates.length, chance)];
    const b = candidates[secondChoice(candidates.length, chance)];
    return loads.inFlight(b) * loads.weight(a) < loads.inFlight(a) * loads.weight(b) ? b : a;
  },
};

function scan(candidates: readonly number[], loads: Loads, chance: number): number {
  let best = candidates[0];
  let running = loads.inFlight(best);
  let weight = loads.weight(best);
  let ties = 1;
  let dice = (chance * 2 ** 32) | 0;
  for (let at = 1; at < candidates.length; at++) {
    const other = candidates[at];
    const otherRunning = loads.inFlight(other);
    const otherWeight = loads.weight(other);
    const difference = otherRunning * weight - running * otherWeight;
    if (difference > 0) continue;
    ties = difference === 0 ? ties + 1 : 1;
    if (ties > 1) {
      // The k-th of equals replaces its forerunner with probability 1/k: each is as likely as any other.
      dice = (Math.imul(dice, 0x5851f42d) + 0x14057b7f) | 0;
      if (((dice >>> 8) * ties) >>> 0 >= 2 ** 24) continue;
    }
    best = other;
    running = otherRunning;
    weight = otherWeight;
  }
  return best;
}
