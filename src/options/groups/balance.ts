/** Choosing among upstreams, and finding out which are well. */
import { z } from 'zod';
import { strategyNames } from '../names.ts';
import { count, ms, share } from './scalars.ts';

export const balance = z.strictObject({
  loadBalanceStrategy: z
    .enum(strategyNames)
    .default('RoundRobin')
    .describe('How an upstream is chosen.'),
  healthCheckIntervalMs: ms(5_000, 50).describe('Time between two health probes of an upstream.'),
  healthCheckFastMs: ms(1_000, 50).describe(
    'That time while the last probe failed or the upstream is out; never more than healthCheckIntervalMs.',
  ),
  healthTimeoutMs: ms(2_000, 10).describe('A probe fails after this time.'),
  fall: count(3, 1, 100).describe('Failed probes in a row that take an upstream out.'),
  rise: count(2, 1, 100).describe('Good probes in a row that bring it back.'),
  enableCircuitBreaker: z
    .boolean()
    .default(true)
    .describe(
      'Leave an upstream alone for a while when its answers fail, separately for each model.',
    ),
  circuitBreakerThreshold: count(5, 1, 1_000).describe('Failures in a row that open a circuit.'),
  circuitBreakerTimeoutMs: ms(30_000, 10, 300_000).describe(
    'An open circuit stays open for this long; longer, up to five minutes, each time it fails again.',
  ),
  circuitBreakerProbes: count(1, 1, 255).describe(
    'Streams a half-open circuit admits; it closes when all of them reached their first token.',
  ),
  circuitBreakerSuccessShare: share(0.8).describe(
    'A circuit also opens when a smaller share of its answers than this succeeded over a window; 0: never.',
  ),
  circuitBreakerVolume: count(20, 1, 1_000_000).describe(
    'Answers that must have come in that window.',
  ),
  circuitBreakerWindowMs: ms(10_000, 100, 600_000).describe('Length of that window.'),
  ejectedShareMax: share(0.8).describe(
    'Largest share of the upstreams of a model that circuits may take out; one may always go, the last one never.',
  ),
  panicShare: share(0.2).describe(
    'When circuits admit to less than this share of the upstreams with room, circuits are ignored.',
  ),
  slowStartMs: ms(10_000).describe(
    'An upstream whose circuit closed gets a growing share of streams over this time.',
  ),
});
