/** Starts what was assembled, in the order in which the parts need one another. */
import { type Admin, type AdminSources, startAdmin } from '../main/admin.ts';
import type { Listening } from '../main/backend/backend.ts';
import { limitsView } from '../main/limits-view.ts';
import { readiness, status } from '../main/status.ts';
import { createExporter } from '../observe/prometheus.ts';
import type { Assembled } from './assemble.ts';
import type { Started } from './started.ts';

/** `listenings`: whoever brings clients, then and later; they are ended before the threads. */
export async function start(
  parts: Assembled,
  started: Started,
  listenings: Iterable<Listening>,
): Promise<Admin | undefined> {
  const { configured, coordination, crew, deliver } = parts;
  const { options } = configured.now;
  started.then(() => parts.observer.stop());
  started.then(() => parts.overload.stop());
  // First in, last out: whoever watches sees the start and the drain.
  const admin = options.admin.enabled ? await startAdmin(options, sources(parts)) : undefined;
  if (admin) configured.join(admin);
  started.then(() => admin?.close());
  started.then(() => coordination.stop());
  started.then(() => crew.stop());
  // At the same time: they need one another only for work, and there is none yet.
  await bothOrNeither(coordination.start(), crew.start(deliver));
  started.then((drain) => leave(parts, listenings, drain));
  return admin;
}

/** What failed first is thrown, once the other has ended its start too: it can be stopped then. */
async function bothOrNeither(...starts: Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(starts);
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
}

function sources(parts: Assembled): AdminSources {
  const { counted, coordination, server, observer } = parts;
  const exporter = createExporter(() => counted, true);
  return {
    ready: () => readiness(parts),
    metrics: (accept) => exporter.answer(accept),
    status: () => status(parts),
    limits: () => limitsView(parts.configured.now.options, parts.door.plan, parts.limits),
    events: () => observer.events.list(),
    drain: (name, drained) => coordination.drain(name, drained),
    weigh: (name, weight) => coordination.weigh(name, weight),
    fault: (error, where) => server.fault(error, where),
  };
}

/** No new connections, running streams to their end when asked, then everybody out. */
async function leave(
  { server, configured }: Assembled,
  listenings: Iterable<Listening>,
  drain: boolean,
): Promise<void> {
  for (const listening of listenings) listening.unlisten();
  await server.drainAll(drain ? configured.now.options.server.shutdownTimeoutMs : 0);
  server.stop();
  await Promise.all([...listenings].map((listening) => listening.close()));
}
