/** How many streams run at an upstream at once, and what becomes of those that find no room. */
import { z } from 'zod';
import { count, ms, share } from './scalars.ts';

export const pool = z.strictObject({
  enableAutoScaling: z
    .boolean()
    .default(true)
    .describe(
      'Let an upstream’s places follow its load, between minConnections and maxConnections.',
    ),
  warmConnections: z
    .boolean()
    .default(true)
    .describe(
      'Keep minConnections sockets open to every upstream, spread over the workers, as far as it lets idle ones live; not to WebSocket back ends.',
    ),
  scaleUpThreshold: share(0.8).describe(
    'Share of the places in use above which there will be more.',
  ),
  scaleDownThreshold: share(0.2).describe(
    'Share of the places in use below which, after some time, there will be fewer.',
  ),
  waitersMax: count(1_024, 0, 1_000_000).describe(
    'Streams that may wait for a place, per worker; further ones are refused.',
  ),
  waitTimeoutMs: ms(10_000, 0).describe('Longest wait for a place.'),
});
