/** The strategies by the guide's names. */
import type { Balancer } from './balancer.ts';
import { createLeastConnections } from './least-connections.ts';
import { P2C } from './p2c.ts';
import { Random } from './random.ts';
import { RoundRobin } from './round-robin.ts';
import { createWeightedRoundRobin } from './weighted-round-robin.ts';

const makers = {
  RoundRobin: () => RoundRobin,
  LeastConnections: createLeastConnections,
  WeightedRoundRobin: createWeightedRoundRobin,
  Random: () => Random,
  P2C: () => P2C,
} as const satisfies Readonly<Record<string, () => Balancer>>;

export type Strategy = keyof typeof makers;

/** One thread's balancer: a strategy may keep what it worked out. */
export function createBalancer(strategy: Strategy): Balancer {
  return makers[strategy]();
}
