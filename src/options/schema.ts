/**
 * Everything a user may say: the only place (each group in groups/). Types, checks, environment names, flags, docs/OPTIONS.md and --help follow
 * from it. One sentence per option, in `describe`. Evaluated once, on main; the resolved object is frozen, plain and goes to
 * every thread.
 */
import { z } from 'zod';
import { admin } from './groups/admin.ts';
import { balance } from './groups/balance.ts';
import { chunks } from './groups/chunks.ts';
import { compression } from './groups/compression.ts';
import { demo } from './groups/demo.ts';
import { keys } from './groups/keys.ts';
import { limits } from './groups/limits.ts';
import { log } from './groups/log.ts';
import { memory } from './groups/memory.ts';
import { dialects, hooks, type ModulePlace, providers, routes } from './groups/modules.ts';
import { observe } from './groups/observe.ts';
import { paths } from './groups/paths.ts';
import { pool } from './groups/pool.ts';
import { proxy } from './groups/proxy.ts';
import { server } from './groups/server.ts';
import { session } from './groups/session.ts';
import { stream } from './groups/stream.ts';
import { threads } from './groups/threads.ts';
import { tickets } from './groups/tickets.ts';
import { upstream } from './groups/upstream.ts';

export const schema = z.strictObject({
  server: server.prefault({}),
  keys,
  tickets: tickets.prefault({}),
  paths: paths.prefault({}),
  session: session.prefault({}),
  stream: stream.prefault({}),
  limits: limits.prefault({}),
  chunks,
  compression: compression.prefault({}),
  proxy: proxy.prefault({}),
  routes,
  hooks: hooks.prefault({}),
  providers,
  dialects,
  upstreams: z.array(upstream).max(64).default([]).describe('Where answers come from.'),
  balance: balance.prefault({}),
  pool: pool.prefault({}),
  threads: threads.prefault({}),
  memory: memory.prefault({}),
  admin: admin.prefault({}),
  log: log.prefault({}),
  observe: observe.prefault({}),
  demo: demo.prefault({}),
});

/** What a user may write. */
export type UserOptions = Omit<z.input<typeof schema>, 'hooks'> & {
  /** In code the module alone is enough. */
  hooks?: z.input<typeof hooks> | ModulePlace | undefined;
};
/** What every thread gets: all defaults filled in, frozen. */
export type Options = z.output<typeof schema>;
export type UpstreamOptions = Options['upstreams'][number];
