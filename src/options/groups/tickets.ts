/** Tickets for browsers: a key's stand-in for one connection. */
import { z } from 'zod';
import { count, ms } from './scalars.ts';

export const tickets = z.strictObject({
  path: z
    .string()
    .startsWith('/')
    .default('/v1/tickets')
    .describe(
      'Path where a key is exchanged for a ticket, with POST; served where keys are asked for.',
    ),
  ttlMs: ms(30_000, 100, 3_600_000).describe('How long a ticket may be used, once.'),
  outstandingMax: count(10_000, 1, 1_000_000).describe('Unused tickets at once.'),
  outstandingPerKeyMax: count(1_000, 1, 1_000_000).describe('Unused tickets of one key.'),
});
