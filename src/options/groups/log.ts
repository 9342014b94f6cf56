/** What is written to standard output. */
import { z } from 'zod';

export const log = z.strictObject({
  level: z
    .enum(['silent', 'error', 'warn', 'info', 'debug'])
    .default('info')
    .describe('Least severe lines that are written.'),
  streams: z.boolean().default(true).describe('Write one line for every finished stream.'),
});
