/** How much of it anybody may have. */
import { z } from 'zod';
import { limitAlgorithmNames, whenFullNames } from '../names.ts';
import { count, ms } from './scalars.ts';

/** What the 32-bit words of a shared limit can hold (policy/limit/gcra.ts, limit-rule.ts). */
const BURST_MAX = 500_000;
const RATE_MAX = 1_000_000;
const RATE_MIN = 1 / 86_400;

const rule = z.strictObject({
  algorithm: z
    .enum(limitAlgorithmNames)
    .default('TokenBucket')
    .describe(
      'TokenBucket: so many at once, refilled at the rate. LeakyBucket: the same with maxBurst 0, so that all are evenly spaced. SlidingWindow: so many in any window, counted in two halves.',
    ),
  maxRequestsPerSecond: z
    .number()
    .min(RATE_MIN)
    .max(RATE_MAX)
    .default(100)
    .describe('Requests a second; 0.1 is one in ten seconds.'),
  maxBurst: z
    .int()
    .min(0)
    .max(BURST_MAX)
    .optional()
    .describe('Requests at once; absent: 200 for TokenBucket, otherwise 0 (as 1).'),
  windowSizeMs: ms(1_000, 1, 86_400_000).describe('The window of SlidingWindow.'),
  shadow: z.boolean().default(false).describe('Count what it would refuse, and refuse nothing.'),
});

export const limits = z.strictObject({
  global: rule.optional().describe('All requests together.'),
  perKey: rule
    .optional()
    .describe('The requests of each API key; all that came without one count as one.'),
  perAddress: rule
    .optional()
    .describe(
      'Handshakes and messages of each client address (of IPv6, each /64). Refused before the upgrade with 429.',
    ),
  perSession: rule.optional().describe('Messages of each session.'),
  perModel: rule.optional().describe('The requests for each model.'),
  perUpstream: rule
    .optional()
    .describe(
      'Attempts at each upstream, over all workers. Whoever is over it is not asked: another one is, or the request waits.',
    ),
  shadow: z
    .boolean()
    .default(false)
    .describe('Every limit counts what it would refuse, and refuses nothing.'),
  whenRefused: z
    .enum(['answer', 'close'])
    .default('answer')
    .describe(
      'A refused client gets an error with the time to come back; close: and its session ends with 1013.',
    ),
  keysMax: count(65_536, 16, 2 ** 22).describe(
    'Keys, addresses, models and upstreams remembered at once for limits, rounded up to a power of two; each takes 32 bytes.',
  ),
  whenFull: z
    .enum(whenFullNames)
    .default('crowd')
    .describe(
      'A key that finds no room shares one limit with all others like it (crowd), or passes (admit), or is refused (refuse).',
    ),
});
