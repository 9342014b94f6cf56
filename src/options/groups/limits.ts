/** How much of it anybody may have. */
import { z } from 'zod';
import { limitAlgorithmNames, whenFullNames } from '../names.ts';
import { count, ms, share } from './scalars.ts';

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
  exact: z
    .boolean()
    .default(false)
    .describe(
      'SlidingWindow only: remember each request of the window instead of two counts; for at most exactRequestsMax requests in a window.',
    ),
  shadow: z.boolean().default(false).describe('Count what it would refuse, and refuse nothing.'),
});

/** Of requests that a worker admits: there they can wait. */
const requestRule = rule.extend({
  paced: z
    .boolean()
    .default(false)
    .describe(
      'LeakyBucket only: what comes too soon waits for its turn instead of being refused; at most maxBurst at once.',
    ),
});

/** What a shared word can hold of a minute's tokens (policy/limit/gcra.ts). */
const MINUTE_TOKENS_MAX = 500_000_000;
const DAY_TOKENS_MAX = 1_000_000_000_000;
const tokensOf = (max: number) => z.int().min(1).max(max).optional();

const budget = z.strictObject({
  inputTokensPerMinute: tokensOf(MINUTE_TOKENS_MAX).describe(
    'Tokens asked with: so many at once, refilled over a minute.',
  ),
  outputTokensPerMinute: tokensOf(MINUTE_TOKENS_MAX).describe(
    'Tokens answered with: so many at once, refilled over a minute.',
  ),
  tokensPerDay: tokensOf(DAY_TOKENS_MAX).describe('Tokens of both kinds from midnight (UTC) on.'),
  streamsMax: z.int().min(1).max(1_000_000).optional().describe('Answers that run at once.'),
  shadow: z.boolean().default(false).describe('Count what it would refuse, and refuse nothing.'),
});

const tokens = z.strictObject({
  global: budget.optional().describe('Budgets of all together.'),
  perKey: budget
    .optional()
    .describe('Budgets of each API key; all that came without one share one.'),
  whenExceeded: z
    .enum(['end', 'finish'])
    .default('end')
    .describe(
      'An answer that uses up its budget ends there, as one that reached its length (response.incomplete), or finishes; what it used is charged either way.',
    ),
  outputTokensAssumed: count(1_024, 1, 1_000_000).describe(
    'Set aside for an answer whose request names no greatest length.',
  ),
  bytesPerToken: z
    .number()
    .min(0.5)
    .max(64)
    .default(4)
    .describe('How many bytes of UTF-8 are counted as a token until the upstream has said it.'),
  cachedWeight: share(1).describe('What an input token that the upstream had cached costs.'),
  reasoningWeight: z.number().min(0).max(100).default(1).describe('What a reasoning token costs.'),
});

/** Each takes rows of the table that is made at the start (policy/limit/limit-plan.ts). */
const TIERS_MAX = 16;

const tier = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.@-]{1,64}$/)
    .describe('What keys call it.'),
  perKey: requestRule.optional().describe('The requests of each; absent: as limits.perKey says.'),
  tokens: budget.optional().describe('Budgets of each; absent: as limits.tokens.perKey says.'),
});

export const limits = z.strictObject({
  global: requestRule.optional().describe('All requests together.'),
  perKey: requestRule
    .optional()
    .describe('The requests of each API key; all that came without one count as one.'),
  tiers: z
    .array(tier)
    .max(TIERS_MAX)
    .default([])
    .describe('Other limits for keys that name them (keys[].tier, or rights.tier of onAuth).'),
  perAddress: rule
    .optional()
    .describe(
      'Handshakes and messages of each client address (of IPv6, each /64). Refused before the upgrade with 429.',
    ),
  perSession: rule.optional().describe('Messages of each session.'),
  perModel: requestRule.optional().describe('The requests for each model.'),
  tokens: tokens
    .prefault({})
    .describe(
      'Budgets of tokens: set aside when an answer begins, metered while it runs, settled when it ends.',
    ),
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
  exactRequestsMax: count(32, 0, 1_024).describe(
    'Requests in a window that an exact SlidingWindow can remember; sets 4 bytes aside for each and for each of keysMax, which take memory as they are used.',
  ),
  whenFull: z
    .enum(whenFullNames)
    .default('crowd')
    .describe(
      'A key that finds no room shares one limit with all others like it (crowd), or passes (admit), or is refused (refuse).',
    ),
});
