/**
 * The whole engine in one object: shared memory, the coordinator, the workers, the server, the admin port, started in the order in
 * which they need one another and stopped in the opposite one.
 */
import { readFileSync } from 'node:fs';
import { asMillraceError, MillraceError } from './errors.ts';
import { createAccept } from './main/accept.ts';
import { type AdminSources, startAdmin } from './main/admin.ts';
import { Admit } from './main/admit.ts';
import type { Backend, Listening } from './main/backend/backend.ts';
import { chooseBackend } from './main/backend/choose.ts';
import { Coordination } from './main/coordination.ts';
import { Counts } from './main/counts.ts';
import { Crew } from './main/crew.ts';
import { Deliver } from './main/deliver.ts';
import { Requests } from './main/requests.ts';
import { createRoutes } from './main/routes.ts';
import { deliverEvents, Server } from './main/server.ts';
import { Sessions } from './main/session.ts';
import { readiness, status } from './main/status.ts';
import { Tally } from './main/tally.ts';
import { openCounters } from './memory/counters.ts';
import { openLedger, writeOffLedger } from './memory/ledger.ts';
import { openSessionCells } from './memory/session-cells.ts';
import { openSlab } from './memory/slab.ts';
import { openThreadCells } from './memory/thread-cells.ts';
import { openUpstreamTable } from './memory/upstream-table.ts';
import { logFact } from './observe/fact-log.ts';
import { createLog, type Log } from './observe/log.ts';
import { dimensionsOf, schedule } from './observe/metrics.ts';
import { createExporter } from './observe/prometheus.ts';
import { resolveOptions } from './options/resolve.ts';
import type { Options, UserOptions } from './options/schema.ts';
import { unlimited } from './policy/limit/limiter.ts';
import { dialects } from './protocol/dialects/dialects.ts';
import { allocateShared } from './threads/allocate.ts';
import type { Fact } from './threads/facts.ts';
import { MAIN_ROW, WORKER_ROW } from './threads/roster.ts';
import { type FromSimulate, spawnCoordinator, spawnSimulated } from './threads/spawn.ts';
import { workerCount } from './threads/worker-count.ts';
import { WorkerPool } from './threads/worker-pool.ts';
import { systemClock, systemRandom, systemTicker } from './threads/world.ts';

/** What an embedder may bring along. */
export interface EngineExtras {
  /** Takes every log line; default: pino to standard output at `log.level`. */
  readonly log?: Log;
  /** The application's own uWebSockets.js module. */
  readonly uws?: unknown;
}

/** Where the engine listens. */
export interface Address {
  /** ws://host:port */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly admin?: { readonly host: string; readonly port: number };
}

export interface Engine {
  /** The options in force, all defaults filled in. */
  readonly options: Options;
  /**
   * Starts everything. Once per engine.
   *
   * @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED, MILLRACE_BACKEND_UNAVAILABLE, MILLRACE_START_FAILED; nothing stays
   *   running then. MILLRACE_CLOSED when it was started before.
   */
  listen(): Promise<Address>;
  /**
   * Ends everything; idempotent. `drain`: running streams may finish first, for at most `server.shutdownTimeoutMs`, and clients
   * are told to come back (1012). Without it they are closed at once.
   */
  close(options?: { readonly drain?: boolean }): Promise<void>;
}

/**
 * An engine that does not run yet.
 *
 * @throws MILLRACE_OPTION_INVALID with every problem at once.
 */
export function createEngine(user: UserOptions = {}, extras: EngineExtras = {}): Engine {
  const { options } = resolveOptions({ code: user });
  let running: Promise<Running> | undefined;
  let closed: Promise<void> | undefined;
  return {
    options,
    async listen() {
      if (running || closed) throw new MillraceError('MILLRACE_CLOSED', {});
      running = run(options, extras);
      return (await running).address;
    },
    close({ drain = false } = {}) {
      closed ??= (async () => {
        const engine = await running?.catch(() => undefined);
        await engine?.stop(drain);
      })();
      return closed;
    },
  };
}

interface Running {
  readonly address: Address;
  stop(drain: boolean): Promise<void>;
}

/** What has been started, to be stopped in the opposite order. */
class Started {
  readonly #stops: ((drain: boolean) => unknown)[] = [];

  then(stop: (drain: boolean) => unknown): void {
    this.#stops.push(stop);
  }

  async stop(drain: boolean): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop(drain);
  }
}

async function run(asked: Options, extras: EngineExtras): Promise<Running> {
  const log = extras.log ?? createLog(asked.log);
  const started = new Started();
  try {
    const { backend, why } = await chooseBackend({
      want: asked.server.backend,
      injected: extras.uws,
    });
    const options = asked.demo.enabled ? await withDemo(asked, started) : asked;
    const { workers, why: whyWorkers } = workerCount(options.threads.workers);
    const assembled = assemble(options, workers, log);
    const address = await start(assembled, backend, started, log);
    log.info(
      { event: 'listening', ...address, backend: backend.name, why, workers, whyWorkers },
      `millrace listens on ${address.url}`,
    );
    return { address, stop: (drain) => started.stop(drain) };
  } catch (thrown) {
    await started.stop(false);
    throw thrown;
  }
}

/** Two simulated upstreams on a thread of their own, serving the model "demo". */
async function withDemo(options: Options, started: Started): Promise<Options> {
  const { seed, tokensPerSecond, firstTokenMs } = options.demo;
  const names = ['simulated-a', 'simulated-b'];
  const servers = names.map((name, at) => ({
    name,
    seed: seed + at,
    tokensPerSecond,
    firstTokenMs,
  }));
  const thread = spawnSimulated({ servers });
  started.then(() => thread.end());
  const urls = await new Promise<readonly string[]>((resolve, reject) => {
    const fail = (reason: string) =>
      reject(new MillraceError('MILLRACE_START_FAILED', { thread: 'simulated upstream', reason }));
    thread.channel.listen((message: FromSimulate) => {
      if (message.type === 'ready') resolve(message.urls);
      else fail(MillraceError.fromWire(message.error).message);
    });
    void thread.gone.then(fail);
  });
  const upstreams = urls.map((url, at) => ({
    name: names[at],
    provider: 'openai-chat' as const,
    url,
    models: ['demo'],
    weight: 1,
    maxConnections: 10_000,
    healthPath: '/healthz',
  }));
  return { ...options, upstreams: [...options.upstreams, ...upstreams] };
}

type Assembled = ReturnType<typeof assemble>;

/** Everything main holds, wired; nothing runs yet. */
function assemble(options: Options, workers: number, log: Log) {
  const series = schedule(dimensionsOf(options));
  const shared = allocateShared(options, workers, series.size);
  const cells = openThreadCells(shared.threads);
  const sessionCells = openSessionCells(shared.sessions);
  const slab = openSlab(shared.slab);
  const table = openUpstreamTable(shared.upstreams);
  const ledger = openLedger(shared.ledger, options.memory.memoryBytesMax, MAIN_ROW);
  const tally = new Tally(shared.counters, series, workers);
  const counts = new Counts(openCounters(shared.counters, MAIN_ROW, series.size), series);
  const sessions = new Sessions(sessionCells, options.session.creditBytes, workers);
  const requests = new Requests(ledger, options.memory.retainedBytesMax);
  const world = { clock: systemClock, ticker: systemTicker };
  const fact = (each: Fact) => logFact(log, each, options.log.streams);
  const coordination = new Coordination({
    spawn: (generation) => spawnCoordinator({ generation, options, shared }),
    cells,
    options,
    ...world,
    fact,
  });
  const pool = new WorkerPool(workers, options, shared, cells);
  const crew = new Crew({
    workers,
    pool,
    options,
    cells,
    slab,
    sessions,
    requests,
    counts,
    ...world,
    events: {
      fact,
      bury: (request) => server.bury(request),
      fold: (worker, generation) => {
        tally.fold(worker);
        table.reclaim(worker, generation);
        writeOffLedger(shared.ledger, WORKER_ROW + worker);
      },
    },
  });
  const delivered = deliverEvents(() => server);
  const deliver = new Deliver(sessions, requests, slab, counts, delivered);
  const admit = new Admit(options, dialects, requests, crew.links, unlimited, systemClock, counts, {
    end: (session, error) => server.end(session, error),
  });
  const server: Server = new Server({
    options,
    accept: createAccept(options),
    admit,
    crew,
    sessions,
    requests,
    counts,
    dialects,
    ...world,
    random: systemRandom,
    http: createRoutes(options),
    fault: (error, where) => {
      const { message } = asMillraceError(error);
      const stack = error instanceof Error ? error.stack : undefined;
      log.error({ event: 'fault', where, stack }, `fault in ${where}: ${message}`);
    },
  });
  return { options, table, tally, series, sessions, requests, coordination, crew, deliver, server };
}

async function start(
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
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;
