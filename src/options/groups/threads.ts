/** Threads and how they are watched. */
import { z } from 'zod';
import { count, ms } from './scalars.ts';

export const threads = z.strictObject({
  workers: z
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('Worker threads; absent: min(8, CPU quota or cores − 1), at least 1.'),
  jobThreadsMax: count(2, 1, 16).describe('Threads of the jobs pool (large one-shot work).'),
  heartbeatMs: ms(1_000, 5, 10_000).describe('How often a thread shows that it lives.'),
  hungAfterMs: ms(5_000, 50).describe(
    'A thread without a heartbeat for this long is retired and replaced.',
  ),
  startTimeoutMs: ms(10_000, 100).describe('A thread must be ready after this time.'),
});
