/** Everything main holds, wired; nothing runs yet. */
import { isServed } from '../codec/choice.ts';
import { createAccept } from '../main/accept.ts';
import { Admit } from '../main/admit.ts';
import { createAuthHook } from '../main/auth-hook.ts';
import { Configured } from '../main/configured.ts';
import { Coordination } from '../main/coordination.ts';
import { Counts } from '../main/counts.ts';
import { Crew } from '../main/crew.ts';
import { Deliver } from '../main/deliver.ts';
import { DemoStatus } from '../main/demo-status.ts';
import { DoorLimits } from '../main/door-limits.ts';
import type { Encodings } from '../main/encodings.ts';
import { Overload } from '../main/overload.ts';
import { Requests } from '../main/requests.ts';
import { createRoutes } from '../main/routes.ts';
import { admitEvents, deliverEvents, Server } from '../main/server.ts';
import { Sessions } from '../main/session.ts';
import { createSockets } from '../main/sockets.ts';
import { Tally } from '../main/tally.ts';
import { openCounters } from '../memory/counters.ts';
import { UPSTREAM_ROWS } from '../memory/layout.ts';
import { openLedger, writeOffLedger } from '../memory/ledger.ts';
import { openLimitTable } from '../memory/limit-table.ts';
import { openReservationBook } from '../memory/reservation-book.ts';
import { openSessionCells } from '../memory/session-cells.ts';
import { openSlab } from '../memory/slab.ts';
import { openThreadCells } from '../memory/thread-cells.ts';
import { openUpstreamTable } from '../memory/upstream-table.ts';
import { type Log } from '../observe/log.ts';
import { dimensionsOf, schedule } from '../observe/metrics.ts';
import type { Options } from '../options/schema.ts';
import { UpstreamRoster } from '../policy/upstream-roster.ts';
import type { Dialect } from '../protocol/dialect.ts';
import { dialects as builtIn } from '../protocol/dialects/dialects.ts';
import { allocateShared } from '../threads/allocate.ts';
import type { Fact } from '../threads/facts.ts';
import { limitOwner, MAIN_ROW, WORKER_ROW } from '../threads/roster.ts';
import { spawnCoordinator } from '../threads/spawn.ts';
import { WorkerPool } from '../threads/worker-pool.ts';
import { systemClock, systemRandom, systemTicker } from '../threads/world.ts';
import type { EarlyThreads } from './early-threads.ts';
import { observing } from './observing.ts';
import type { Application } from './run.ts';

export type Assembled = ReturnType<typeof assemble>;

export function assemble(options: Options, early: EarlyThreads, log: Log, own: Application) {
  const { workers, relays } = early;
  const dialects = { ...builtIn, ...own.dialects };
  const memory = openMemory(options, workers);
  const { configured, shared, cells, slab, counts, sessions, requests } = memory;
  const clock = systemClock;
  const world = { clock, ticker: systemTicker };
  const demo = new DemoStatus({ ...memory, ...world });
  const hear = (each: Fact) => demo.hear(each);
  const watchers = { serving: () => crew.serving, hear, otel: own.otel };
  const { observer, counted } = observing(options, log, memory, watchers);
  const { fact } = observer;
  const coordination = new Coordination({
    spawn: (generation, now) => spawnCoordinator({ generation, ...now, shared }),
    configuration: configured.now,
    cells,
    ...world,
    fact,
  });
  const door = new DoorLimits(options, memory.limits, clock, counts);
  const pool = new WorkerPool(relays, configured.now, shared, cells);
  const crew: Crew = new Crew({
    workers,
    pool,
    options,
    ...memory,
    ...world,
    events: {
      fact,
      bury: (request) => server.bury(request),
      ...deadWorkers(memory, door, (worker) => server.abandon(worker)),
    },
  });
  const overload = new Overload({ options, workers, ...memory, ...world });
  const delivered = deliverEvents(() => server);
  const deliver = new Deliver(sessions, requests, slab, counts, delivered);
  const sockets = createSockets(own.sockets, options, counts, clock, () => server);
  const told = admitEvents(() => server, sockets, overload);
  const admit = new Admit(options, dialects, requests, crew.links, door, clock, counts, told);
  const authenticate = createAuthHook(options, crew, systemTicker);
  const accept = createAccept(options, {
    paths: own.paths,
    arrives: (address, nowMs) => door.arrives(address, nowMs),
    encodings: encodingsOf(dialects),
    ...(authenticate && { authenticate }),
  });
  const routes = createRoutes(options, accept, systemClock, (head) => demo.reply(head), own.paths);
  const server: Server = new Server({
    options,
    overload,
    accept,
    door,
    admit,
    crew,
    dialects,
    ...memory,
    sockets,
    ...world,
    random: systemRandom,
    http: (head) => routes.answer(head),
    fault: (error, where) => observer.fault(error, where),
    fact,
    paths: own.paths,
  });
  configured.join(door, observer, overload, admit, sessions, requests, routes, server);
  return { ...memory, door, observer, counted, coordination, crew, server, deliver, overload };
}

function encodingsOf(dialects: Readonly<Record<string, Dialect | undefined>>): Encodings {
  return { served: isServed, isText: (name) => dialects[name]?.binary === false };
}

/** Main's views of the shared memory, and what counts in it. */
function openMemory(options: Options, workers: number) {
  const series = schedule(dimensionsOf(options));
  const shared = allocateShared(options, workers, series.size);
  const table = openUpstreamTable(shared.upstreams);
  const tally = new Tally(shared.counters, series, workers);
  const block = openCounters(shared.counters, MAIN_ROW, series.size);
  const ledger = openLedger(shared.ledger, options.memory.memoryBytesMax, MAIN_ROW);
  const sessionCells = openSessionCells(shared.sessions);
  return {
    series,
    shared,
    cells: openThreadCells(shared.threads),
    sessions: new Sessions(sessionCells, options.session.creditBytes, workers),
    requests: new Requests(ledger, options.memory.retainedBytesMax),
    slab: openSlab(shared.slab),
    limits: openLimitTable(shared.limits),
    reservations: openReservationBook(shared.reservations),
    table,
    ledger,
    tally,
    configured: new Configured(options, new UpstreamRoster(UPSTREAM_ROWS), table, tally),
    block,
    counts: new Counts(block, series),
  };
}

/** A worker is gone: what it counted stays, what it held is free, what its streams had set aside of their budgets goes back. */
function deadWorkers(
  memory: ReturnType<typeof openMemory>,
  door: DoorLimits,
  abandon: (worker: number) => void,
) {
  const giveBack = (worker: number, generation: number) =>
    void memory.reservations.reclaim(worker, generation, (...entry) =>
      door.plan.giveBack(...entry),
    );
  return {
    fold(worker: number, generation: number) {
      memory.tally.fold(worker);
      memory.table.reclaim(worker, generation);
      writeOffLedger(memory.shared.ledger, WORKER_ROW + worker);
      giveBack(worker, generation);
      abandon(worker);
    },
    /** And its thread writes no more. */
    gone(worker: number, generation: number) {
      memory.limits.disown(limitOwner(worker, generation));
      giveBack(worker, generation);
    },
  };
}
