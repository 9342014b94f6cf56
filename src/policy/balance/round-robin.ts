import type { Balancer } from './balancer.ts';

/** One after the other. Each thread goes its own rounds: every round is exact, so the sum over N threads is even within N. */
export const RoundRobin: Balancer = {
  name: 'RoundRobin',
  pick: (candidates, loads, { key }) => candidates[loads.turn(key) % candidates.length],
};
