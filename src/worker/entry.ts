/** A worker thread: the resident task of the relay pool. Wiring only. */
import { asMillraceError, MillraceError } from '../errors.ts';
import { openCounters } from '../memory/counters.ts';
import { openLedger } from '../memory/ledger.ts';
import { openLimitTable } from '../memory/limit-table.ts';
import { pause } from '../memory/pause.ts';
import { openReservationBook } from '../memory/reservation-book.ts';
import { ringConsumer, ringProducer } from '../memory/ring.ts';
import { openSessionCells } from '../memory/session-cells.ts';
import { openSlab } from '../memory/slab.ts';
import { openThreadCells } from '../memory/thread-cells.ts';
import { openUpstreamTable } from '../memory/upstream-table.ts';
import { dimensionsOf, schedule } from '../observe/metrics.ts';
import { Coalescer } from '../protocol/coalesce.ts';
import { dialects } from '../protocol/dialects/dialects.ts';
import { providers } from '../protocol/providers/providers.ts';
import { createJobs, type Jobs } from '../threads/jobs.ts';
import type { FromWorker, ToWorker, WorkerStart } from '../threads/messages.ts';
import { channel, threadNumber } from '../threads/port.ts';
import { limitOwner, WORKER_ROW } from '../threads/roster.ts';
import { systemClock, systemRandom, systemTicker } from '../threads/world.ts';
import { UpstreamTransport } from './connect/transport.ts';
import { WebSocketTransport } from './connect/websocket.ts';
import { loadModules, type Modules } from './modules.ts';
import { ReadPace } from './read-pace.ts';
import { Relay } from './relay.ts';

/** Idle sockets kept for each upstream, and for how long. */
const IDLE_SOCKETS_MAX = 64;
const IDLE_MS = 30_000;

/** Serves a pair of rings until it is stopped or replaced. `null`: only load everything, to be ready for a start. */
export default async function work(start: WorkerStart | null): Promise<void> {
  if (start === null) return;
  const port = channel<ToWorker, FromWorker>(start.port);
  const { threads: bounds } = start.options;
  const jobs = createJobs({
    threadsMax: bounds.jobThreadsMax,
    entry: new URL('./jobs.js', import.meta.url),
  });
  let relay: Relay;
  try {
    const modules = await loadModules(start.options);
    relay = assemble(start, modules, port.bell, jobs, (message) => port.post(message));
  } catch (thrown) {
    port.post({ type: 'failed', error: asMillraceError(thrown).toWire() });
    port.close();
    return jobs.close();
  }
  port.listen((message) => {
    if (message.type === 'bell') return relay.bell();
    if (message.type === 'configure') return relay.configure(message.configuration);
    const { id, asked } = message;
    relay.auth(asked, (settled) => {
      const answer = settled instanceof MillraceError ? settled.toWire() : settled;
      port.post({ type: 'auth', id, answer });
    });
  });
  port.post({ type: 'ready', thread: threadNumber, asksAuth: relay.asksAuth });
  await relay.stopped;
  await jobs.close();
  port.close();
}

function assemble(
  { worker, generation, options, seats, shared, up, down }: WorkerStart,
  modules: Modules,
  bell: { ring(): void },
  jobs: Jobs,
  post: (message: FromWorker) => void,
): Relay {
  const pace = new ReadPace({ bell, clock: systemClock, ticker: systemTicker, pause });
  const { size } = schedule(dimensionsOf(options));
  return new Relay({
    worker,
    generation,
    options,
    seats,
    clock: systemClock,
    random: systemRandom,
    ticker: systemTicker,
    transport: new UpstreamTransport({
      idleSocketsMax: IDLE_SOCKETS_MAX,
      idleMs: IDLE_MS,
      onRead: () => pace.read(),
    }),
    sockets: new WebSocketTransport(),
    providers: { ...providers, ...modules.providers },
    dialects: { ...dialects, ...modules.dialects },
    modules,
    coalesce: (next, onMerged) => new Coalescer(next, onMerged),
    up: ringConsumer(up, bell),
    down: ringProducer(down, pace),
    slab: openSlab(shared.slab),
    sessions: openSessionCells(shared.sessions),
    threads: openThreadCells(shared.threads),
    table: openUpstreamTable(shared.upstreams),
    ledger: openLedger(shared.ledger, options.memory.memoryBytesMax, WORKER_ROW + worker),
    limits: openLimitTable(shared.limits, limitOwner(worker, generation)),
    reservations: openReservationBook(shared.reservations),
    counters: openCounters(shared.counters, WORKER_ROW + worker, size),
    job: (name, argument) => jobs.run(name, argument),
    publish: (fact) => post({ type: 'fact', fact }),
  });
}
