import type { Balancer } from './balancer.ts';

/** One after the other, over all threads: the cursor is shared, so that N workers do not all begin with the first upstream. */
export const RoundRobin: Balancer = {
  name: 'RoundRobin',
  pick: (candidates, loads) => candidates[(loads.turn() >>> 0) % candidates.length],
};
