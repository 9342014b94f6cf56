/** Choosing among upstreams, and finding out which are well. */
import { z } from 'zod';
import { strategyNames } from '../names.ts';
import { count, ms } from './scalars.ts';

export const balance = z.strictObject({
  loadBalanceStrategy: z
    .enum(strategyNames)
    .default('RoundRobin')
    .describe('How an upstream is chosen.'),
  healthCheckIntervalMs: ms(5_000, 50).describe('Time between two health probes of an upstream.'),
  healthTimeoutMs: ms(2_000, 10).describe('A probe fails after this time.'),
  fall: count(3, 1, 100).describe('Failed probes in a row that take an upstream out.'),
  rise: count(2, 1, 100).describe('Good probes in a row that bring it back.'),
});
