/** Starts what was assembled, in the order in which the parts need one another. */
import { readFileSync } from 'node:fs';
import { type AdminSources, startAdmin } from '../main/admin.ts';
import type { Backend, Listening } from '../main/backend/backend.ts';
import { readiness, status } from '../main/status.ts';
import { type Log } from '../observe/log.ts';
import { createExporter } from '../observe/prometheus.ts';
import type { Assembled } from './assemble.ts';
import type { Address } from './engine.ts';
import type { Started } from './started.ts';

export async function start(
  parts: Assembled,
  backend: Backend,
  started: Started,
  log: Log,
): Promise<Address> {
  const { options, coordination, crew, deliver, server } = parts;
  // First in, last out: whoever watches sees the start and the drain.
  const admin = options.admin.enabled ? await startAdmin(options, sources(parts)) : undefined;
  started.then(() => admin?.close());
  started.then(() => coordination.stop());
  await coordination.start();
  started.then(() => crew.stop());
  await crew.start(deliver);
  const { host, port, messageBytesMax, reusePort } = options.server;
  const bodyBytesMax = options.memory.largeBodyBytes;
  const listening = await backend.listen(
    { host, port, messageBytesMax, bodyBytesMax, reusePort },
    server,
  );
  started.then((drain) => leave(parts, listening, drain));
  server.start();
  log.debug({ event: 'backend', name: backend.name, version: backend.version }, 'listening');
  const address = addressOf(listening);
  return admin ? { ...address, admin: { host: admin.host, port: admin.port } } : address;
}

function sources({
  options,
  table,
  tally,
  series,
  crew,
  coordination,
  sessions,
  requests,
  server,
}: Assembled): AdminSources {
  const exporter = createExporter({ schedule: series, read: () => tally.read() });
  const watched = { options, table, crew, coordination, sessions, requests, server };
  return {
    ready: () => readiness(watched),
    metrics: () => exporter.text(),
    metricsType: exporter.contentType,
    status: () => ({ version, ...status(watched) }),
    drain: (name, drained) => coordination.drain(name, drained),
    fault: (error, where) => server.fault(error, where),
  };
}

/** No new connections, running streams to their end when asked, then everybody out. */
async function leave(parts: Assembled, listening: Listening, drain: boolean): Promise<void> {
  listening.unlisten();
  await parts.server.drainAll(drain ? parts.options.server.shutdownTimeoutMs : 0);
  parts.server.stop();
  await listening.close();
}

function addressOf({ host, port }: Listening): Address {
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `ws://${name}:${port}`, host, port };
}

const version = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;
