/** What an operator gets to see beside log and metrics. */
import { z } from 'zod';
import { propagations } from '../names.ts';
import { count } from './scalars.ts';

export const observe = z.strictObject({
  propagate: z
    .enum(propagations)
    .default('incoming')
    .describe(
      'W3C trace context towards upstreams: never, for streams that came with one (incoming), or for every stream (always).',
    ),
  eventsMax: count(256, 0, 10_000).describe(
    'Events kept for /events.json: changes of state and faults, the newest ones.',
  ),
});
