import type { Balancer, Loads } from './balancer.ts';
import { firstChoice, secondChoice } from './two-choices.ts';

/** An upstream that nobody has measured looks this fast: it is tried soon, but not by everybody at once. */
const UNKNOWN_US = 1_000;

/**
 * The better of two random upstreams: time to first token (peak-EWMA) × (running streams + 1) ÷ weight. Follows a slowing upstream within a few answers and never herds:
 * whoever looks best to all still gets only those draws it is in.
 */
export const P2C: Balancer = {
  name: 'P2C',
  pick(candidates, loads, { chance, nowMs }) {
    const n = candidates.length;
    if (n === 1) return candidates[0];
    const a = candidates[firstChoice(n, chance)];
    const b = candidates[secondChoice(n, chance)];
    return cost(b, loads, nowMs) * loads.weight(a) < cost(a, loads, nowMs) * loads.weight(b)
      ? b
      : a;
  },
};

function cost(upstream: number, loads: Loads, nowMs: number): number {
  return (loads.firstTokenUs(upstream, nowMs) || UNKNOWN_US) * (loads.inFlight(upstream) + 1);
}
