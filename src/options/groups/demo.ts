/** Simulated upstreams. */
import { z } from 'zod';
import { count, ms } from './scalars.ts';

export const demo = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('Run two simulated upstreams that serve the model "demo", and the page.'),
  seed: count(1, 0, 2 ** 31 - 1).describe('Seed of the simulated answers.'),
  tokensPerSecond: z
    .number()
    .min(0.1)
    .max(100_000)
    .default(60)
    .describe('Mean speed of a simulated answer.'),
  firstTokenMs: ms(150).describe('Mean time to a simulated first token.'),
});
