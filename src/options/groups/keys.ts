/** Who may come. */
import { z } from 'zod';
import { dialectNames } from '../names.ts';

const dialects: ReadonlySet<string> = new Set(dialectNames);

const key = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.@-]{1,64}$/)
    .describe('What logs call it.'),
  key: z.string().min(1).describe('What clients send.'),
  models: z
    .array(z.string().min(1))
    .optional()
    .describe(
      'Models it may ask for, one that ends in * standing for all that begin so; absent: every model.',
    ),
  tier: z
    .string()
    .min(1)
    .optional()
    .describe('Whose limits it has, one of limits.tiers; absent: those of every key.'),
  paths: z
    .array(
      z
        .string()
        .refine(
          (path) => path.startsWith('/') || dialects.has(path),
          `a path that begins with / or one of ${dialectNames.join(', ')}`,
        ),
    )
    .optional()
    .describe('Paths and client protocols it may use; absent: all.'),
  sessionsMax: z
    .int()
    .min(1)
    .max(262_144)
    .optional()
    .describe('Sessions it may hold at once; absent: as many as there are.'),
  expiresAt: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('When it ends, as 2030-01-31T00:00:00Z.'),
  disabled: z.boolean().default(false).describe('Refuse it as if it were not there.'),
});

export const keys = z
  .array(z.union([z.string().min(1), key]))
  .max(10_000)
  .default([])
  .describe(
    'API keys that clients may use, each a text or a group with a name and rights; none means that no key is asked for.',
  );
