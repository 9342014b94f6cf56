/** Bytes held for clients. */
import { z } from 'zod';
import { bytes, KiB, MiB } from './scalars.ts';

export const memory = z.strictObject({
  refuseAboveShare: z
    .number()
    .min(0.1)
    .max(1)
    .default(0.9)
    .describe(
      'Share of memoryBytesMax above which new turns and connections are refused, so that running ones keep the rest.',
    ),
  ringBytes: bytes(1 * MiB, 64 * KiB, 64 * MiB)
    .describe('Capacity of each ring between main and a worker; a power of two.')
    .refine((n) => (n & (n - 1)) === 0, 'a power of two'),
  slabBytes: bytes(64 * MiB, 1 * MiB, 1024 * MiB).describe(
    'Shared slab for payloads too large for a ring; pages are touched only when used.',
  ),
  largeBodyBytes: bytes(64 * KiB, 1 * KiB, 16 * MiB).describe(
    'Client messages above this are parsed on the jobs pool.',
  ),
  retainedBytesMax: bytes(64 * MiB, 64 * KiB, 4096 * MiB).describe(
    'Bytes of uncommitted requests that main keeps, so that they can run again when a worker dies.',
  ),
  memoryBytesMax: bytes(1024 * MiB, 16 * MiB, 2 ** 40).describe(
    'All bytes held for clients (rings, outboxes, history, retained requests).',
  ),
});
