/** The configuration an engine starts with: every upstream in the row of its place. */
import { UPSTREAM_ROWS } from '../../src/memory/layout.ts';
import { must } from '../../src/must.ts';
import type { Options } from '../../src/options/schema.ts';
import { UpstreamRoster } from '../../src/policy/upstream-roster.ts';
import type { Configuration } from '../../src/threads/messages.ts';

export function firstConfiguration(options: Options): Configuration {
  const placed = new UpstreamRoster(UPSTREAM_ROWS).place(options.upstreams, 1, () => true);
  must(placed, 'rows enough');
  return { epoch: 1, options, seats: placed.seats };
}
