import type { Balancer } from './balancer.ts';

/** Uniform, whatever the weights. */
export const Random: Balancer = {
  name: 'Random',
  pick: (candidates, _loads, { chance }) => candidates[(chance * candidates.length) | 0],
};
