/** What is written to standard output. */
import { z } from 'zod';
import { count } from './scalars.ts';

export const log = z.strictObject({
  level: z
    .enum(['silent', 'error', 'warn', 'info', 'debug'])
    .default('info')
    .describe('Least severe lines that are written.'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe('One JSON object a line, or lines for people; auto: for people on a terminal only.'),
  linesPerSecondMax: count(20, 1, 10_000).describe(
    'Most lines a second of each kind that clients or upstreams can cause at will, such as refused handshakes; what is left out is counted in one line.',
  ),
  streams: z.boolean().default(true).describe('Write one line for every finished stream.'),
});
