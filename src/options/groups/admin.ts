/** The operator's port. */
import { z } from 'zod';
import { count } from './scalars.ts';

export const admin = z.strictObject({
  enabled: z.boolean().default(true).describe('Serve health, readiness, metrics and status.'),
  host: z.string().min(1).default('127.0.0.1').describe('Address of the admin port.'),
  port: count(9090, 0, 65_535).describe('TCP port of the admin endpoints; 0 picks a free one.'),
  token: z
    .string()
    .min(8)
    .optional()
    .describe(
      'Required as Authorization: Bearer for actions such as draining an upstream; without it actions are refused.',
    ),
});
