/**
 * The whole engine in one thread, under one seed: main's server over fake sockets, workers as relays in the same loop, simulated
 * time, upstreams that a test plays. Only the backends, the thread pool and the sockets are not the real ones. A worker can be
 * killed: from then on nothing of it runs, and what it had not published is lost, as with a thread.
 */

import { Board } from '../../src/coordinator/board.ts';
import { Rates } from '../../src/coordinator/rates.ts';
import { createAccept } from '../../src/main/accept.ts';
import { Admit } from '../../src/main/admit.ts';
import { Configured } from '../../src/main/configured.ts';
import { Coordination } from '../../src/main/coordination.ts';
import { Counts } from '../../src/main/counts.ts';
import { Crew, type Pool } from '../../src/main/crew.ts';
import { Deliver } from '../../src/main/deliver.ts';
import { DoorLimits } from '../../src/main/door-limits.ts';
import { Overload } from '../../src/main/overload.ts';
import { Paths } from '../../src/main/paths.ts';
import { Requests } from '../../src/main/requests.ts';
import { admitEvents, deliverEvents, Server } from '../../src/main/server.ts';
import { type Admission, Sessions } from '../../src/main/session.ts';
import { createSockets } from '../../src/main/sockets.ts';
import { Tally } from '../../src/main/tally.ts';
import { openCounters } from '../../src/memory/counters.ts';
import { UPSTREAM_ROWS } from '../../src/memory/layout.ts';
import { openLedger, writeOffLedger } from '../../src/memory/ledger.ts';
import { openLimitTable } from '../../src/memory/limit-table.ts';
import { openReservationBook } from '../../src/memory/reservation-book.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../src/memory/ring.ts';
import { openSessionCells } from '../../src/memory/session-cells.ts';
import { openSlab } from '../../src/memory/slab.ts';
import { openThreadCells } from '../../src/memory/thread-cells.ts';
import { openUpstreamTable } from '../../src/memory/upstream-table.ts';
import { dimensionsOf, type MetricName, schedule } from '../../src/observe/metrics.ts';
import { schema, type UserOptions } from '../../src/options/schema.ts';
import type { Ticker } from '../../src/policy/ports.ts';
import { UpstreamRoster } from '../../src/policy/upstream-roster.ts';
import { Coalescer } from '../../src/protocol/coalesce.ts';
import { dialects } from '../../src/protocol/dialects/dialects.ts';
import { providers } from '../../src/protocol/providers/providers.ts';
import { allocateShared } from '../../src/threads/allocate.ts';
import type { Fact } from '../../src/threads/facts.ts';
import type {
  Configuration,
  FromCoordinator,
  SharedHandles,
  ToCoordinator,
} from '../../src/threads/messages.ts';
import { COORDINATOR_ROW, limitOwner, MAIN_ROW, WORKER_ROW } from '../../src/threads/roster.ts';
import type { Spawned } from '../../src/threads/spawn.ts';
import type { Incarnation } from '../../src/threads/worker-pool.ts';
import { Relay } from '../../src/worker/relay.ts';
import { FakeConnection } from './fake-connection.ts';
import { FakeSockets } from './fake-sockets.ts';
import { type FakeExchange, FakeTransport } from './fake-transport.ts';
import { runJob } from './run-job.ts';
import { SimulatedWorld } from './simulated-world.ts';

const WORKERS = 2;
const silent = { ring: () => {} };

interface Life {
  alive: boolean;
  readonly transport: FakeTransport;
  relay?: Relay;
  /** Ends a timer of its thread. */
  readonly timers: Set<() => void>;
  end(reason: string): void;
}

export class EngineSim {
  options;
  readonly world: SimulatedWorld;
  readonly facts: Fact[] = [];
  readonly server: Server;
  readonly requests: Requests;
  readonly sessions: Sessions;
  readonly tally: Tally;
  readonly ledger;
  readonly slab;
  readonly table;
  readonly crew: Crew;
  readonly coordination: Coordination;
  readonly configured: Configured;
  readonly overload: Overload;
  readonly door: DoorLimits;
  readonly book;
  readonly limits;
  /** So many of the next starts hang: neither ready nor gone, and never a heartbeat. */
  hungStarts = 0;
  /** Sees each exchange that any worker opens. */
  onOpen: (exchange: FakeExchange) => void = () => {};
  readonly #deliver: Deliver;
  readonly #shared: SharedHandles;
  readonly #cells;
  readonly #size: number;
  readonly #schedule;
  readonly #lives: Life[] = [];
  /** How to end those that hang in their start, by generation. */
  readonly #hung = new Map<number, (reason: string) => void>();
  /** What the next worker is started with. */
  #configuration: Configuration;
  #endCoordinator: () => void = () => {};

  constructor(user: UserOptions, chance: () => number) {
    this.options = schema.parse(user);
    this.world = new SimulatedWorld(chance);
    this.#schedule = schedule(dimensionsOf(this.options));
    this.#size = this.#schedule.size;
    this.#shared = allocateShared(this.options, WORKERS, this.#size);
    this.#cells = openThreadCells(this.#shared.threads);
    this.table = openUpstreamTable(this.#shared.upstreams);
    this.slab = openSlab(this.#shared.slab);
    this.ledger = openLedger(this.#shared.ledger, this.options.memory.memoryBytesMax, MAIN_ROW);
    this.tally = new Tally(this.#shared.counters, this.#schedule, WORKERS);
    const roster = new UpstreamRoster(UPSTREAM_ROWS);
    this.configured = new Configured(this.options, roster, this.table, this.tally);
    this.#configuration = this.configured.now;
    const block = openCounters(this.#shared.counters, MAIN_ROW, this.#size);
    const counts = new Counts(block, this.#schedule);
    const { creditBytes } = this.options.session;
    this.sessions = new Sessions(openSessionCells(this.#shared.sessions), creditBytes, WORKERS);
    this.requests = new Requests(this.ledger, this.options.memory.retainedBytesMax);
    const { clock, ticker, random } = this.world;
    this.coordination = new Coordination({
      spawn: (_, configuration) => this.#coordinator(configuration),
      configuration: this.configured.now,
      cells: this.#cells,
      clock,
      ticker,
      fact: (fact) => void this.facts.push(fact),
    });
    this.limits = openLimitTable(this.#shared.limits);
    this.book = openReservationBook(this.#shared.reservations);
    this.door = new DoorLimits(this.options, this.limits, clock, counts);
    this.crew = new Crew({
      workers: WORKERS,
      pool: this.#pool(),
      options: this.options,
      cells: this.#cells,
      slab: this.slab,
      sessions: this.sessions,
      requests: this.requests,
      counts,
      clock,
      ticker,
      events: {
        fact: (fact) => void this.facts.push(fact),
        bury: (request) => this.server.bury(request),
        gone: (worker, generation) =>
          void openLimitTable(this.#shared.limits).disown(limitOwner(worker, generation)),
        fold: (worker, generation) => {
          this.tally.fold(worker);
          this.table.reclaim(worker, generation);
          writeOffLedger(this.#shared.ledger, WORKER_ROW + worker);
          this.book.reclaim(worker, generation, (...entry) => this.door.plan.giveBack(...entry));
        },
      },
    });
    this.overload = new Overload({
      options: this.options,
      workers: WORKERS,
      ledger: this.ledger,
      slab: this.slab,
      cells: this.#cells,
      counts,
      requests: this.requests,
      sessions: this.sessions,
      clock,
      ticker,
    });
    const events = deliverEvents(() => this.server);
    this.#deliver = new Deliver(this.sessions, this.requests, this.slab, counts, events);
    const { links } = this.crew;
    const sockets = createSockets(new Map(), this.options, counts, clock, () => this.server);
    const { door } = this;
    const admit = new Admit(
      this.options,
      dialects,
      this.requests,
      links,
      door,
      clock,
      counts,
      admitEvents(() => this.server, sockets, this.overload),
    );
    const accept = createAccept(this.options, {
      wall: () => clock.wall(),
      arrives: (address, nowMs) => door.arrives(address, nowMs),
    });
    this.server = new Server({
      options: this.options,
      accept,
      overload: this.overload,
      admit,
      door,
      crew: this.crew,
      sessions: this.sessions,
      requests: this.requests,
      counts,
      dialects,
      sockets,
      clock,
      ticker,
      random,
      paths: new Paths(this.options.paths),
      http: () => ({ status: 404, headers: {}, body: '' }),
      fault: (error) => {
        throw error;
      },
      fact: (fact) => void this.facts.push(fact),
    });
    this.configured.join(door, this.overload, admit, this.sessions, this.requests, this.server);
  }

  async start(): Promise<void> {
    const coordinates = this.coordination.start();
    await this.world.settle();
    await coordinates;
    const ready = this.crew.start(this.#deliver);
    await this.world.settle();
    await ready;
    this.server.start();
  }

  /** Other options, while everything runs. */
  update(user: UserOptions): Promise<void> {
    this.options = schema.parse(user);
    return this.configured.change(this.options, this);
  }

  /** The coordinator's thread is gone. */
  killCoordinator(): void {
    this.#endCoordinator();
  }

  /** A client connects. */
  connect(admitted: Partial<Admission> = {}): FakeConnection {
    const connection = new FakeConnection();
    const admission: Admission = {
      dialect: 'responses',
      principal: 'anonymous',
      address: '127.0.0.1',
      ...admitted,
    };
    connection.user = admission;
    this.server.open(connection);
    return connection;
  }

  send(connection: FakeConnection, message: unknown): void {
    this.server.message(connection, Buffer.from(JSON.stringify(message)), false);
  }

  /** The client reads everything that waits for it. */
  read(connection: FakeConnection): void {
    connection.empty();
    this.server.drain(connection);
  }

  leave(connection: FakeConnection): void {
    connection.open = false;
    this.server.close(connection, 1006, '');
  }

  /** The worker's thread is gone, between two turns of its loop. */
  kill(worker: number): boolean {
    const life = this.#lives[worker];
    if (!life?.alive) return false;
    life.end('killed by the simulation');
    return true;
  }

  count(name: MetricName, ...labels: number[]): number {
    return this.tally.read()[this.#schedule.index(name, ...labels)];
  }

  get sockets(): number {
    return this.#lives.reduce((sum, life) => sum + (life.alive ? life.transport.sockets : 0), 0);
  }

  /** Streams that living workers run. */
  get running(): number {
    return this.#relays.reduce((sum, { running }) => sum + running, 0);
  }

  /** Records and replies of theirs that wait for credit or space. */
  get waiting(): number {
    return this.#relays.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  get #relays(): Relay[] {
    return this.#lives.flatMap(({ alive, relay }) => (alive && relay ? [relay] : []));
  }

  #pool(): Pool {
    return {
      start: (worker, events) => {
        const up = allocateRing(this.options.memory.ringBytes);
        const down = allocateRing(this.options.memory.ringBytes);
        const generation = this.#cells.renew(WORKER_ROW + worker);
        const configuration = this.#configuration;
        if (this.hungStarts > 0) {
          this.hungStarts--;
          const ends = { up: ringProducer(up, silent), down: ringConsumer(down, silent) };
          const ready = new Promise<never>(() => {});
          const ended = new Promise<string>((resolve) => this.#hung.set(generation, resolve));
          return { worker, generation, ...ends, configure() {}, ready, gone: ended };
        }
        const late: { relay?: Relay } = {};
        let gone: (reason: string | undefined) => void = () => {};
        const life: Life = {
          alive: true,
          transport: new FakeTransport(),
          timers: new Set(),
          end: (reason) => {
            life.alive = false;
            for (const cancel of life.timers) cancel();
            // The kernel closes a dead thread's sockets.
            for (const exchange of life.transport.exchanges) exchange.cancel();
            gone(reason);
          },
        };
        this.#lives[worker] = life;
        life.transport.onOpen = (exchange) => this.onOpen(exchange);
        const soon = (task: () => void) => this.world.ticker.soon(task);
        const toRelay = { ring: () => soon(() => life.alive && late.relay?.bell()) };
        const toMain = { ring: () => soon(() => events.bell()) };
        late.relay = new Relay({
          worker,
          generation,
          options: configuration.options,
          seats: configuration.seats,
          clock: this.world.clock,
          random: this.world.random,
          ticker: this.#tickerOf(life),
          transport: life.transport,
          sockets: new FakeSockets(),
          providers,
          dialects,
          coalesce: (next, onMerged) => new Coalescer(next, onMerged),
          up: ringConsumer(up, toMain),
          down: ringProducer(down, toMain),
          slab: openSlab(this.#shared.slab),
          sessions: openSessionCells(this.#shared.sessions),
          threads: openThreadCells(this.#shared.threads),
          table: openUpstreamTable(this.#shared.upstreams),
          ledger: openLedger(
            this.#shared.ledger,
            configuration.options.memory.memoryBytesMax,
            WORKER_ROW + worker,
          ),
          limits: openLimitTable(this.#shared.limits, limitOwner(worker, generation)),
          reservations: openReservationBook(this.#shared.reservations),
          counters: openCounters(this.#shared.counters, WORKER_ROW + worker, this.#size),
          job: runJob,
          publish: (fact) => events.fact(fact),
        });
        life.relay = late.relay;
        const incarnation: Incarnation = {
          worker,
          generation,
          up: ringProducer(up, toRelay),
          down: ringConsumer(down, toRelay),
          configure: (changed) => soon(() => life.alive && late.relay?.configure(changed)),
          ready: Promise.resolve(),
          gone: new Promise((resolve) => {
            gone = resolve;
          }),
        };
        void late.relay.stopped.then(() => gone(undefined));
        return incarnation;
      },
      configure: (configuration) => {
        this.#configuration = configuration;
      },
      // A thread that hangs is terminated; one that lives finds itself retired.
      end: ({ generation }) => {
        this.#hung.get(generation)?.('ended');
        return this.#hung.delete(generation);
      },
      warm: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }

  /** A coordinator without its patrol: it writes rows when it starts and when it is told to. */
  #coordinator(start: Configuration): Spawned<FromCoordinator, ToCoordinator> {
    const board = new Board(this.table);
    let alive = true;
    let heard: (message: FromCoordinator) => void = () => {};
    let gone: (reason: string) => void = () => {};
    const soon = (task: () => void) => this.world.ticker.soon(() => alive && task());
    const end = () => {
      alive = false;
      gone('killed by the simulation');
    };
    this.#endCoordinator = end;
    const { clock, random } = this.world;
    const publish = (fact: Fact) => heard({ type: 'fact', fact });
    const rates = new Rates({ table: this.table, clock, random, publish });
    const write = ({ options, seats }: Configuration) => {
      board.write(options, seats);
      rates.configure(options, seats);
    };
    soon(() => {
      write(start);
      heard({ type: 'ready' });
    });
    const stopRates = this.world.ticker.every(100, () => (alive ? void rates.look() : stopRates()));
    const stopBeat = this.world.ticker.every(start.options.threads.heartbeatMs, () =>
      alive ? this.#cells.beat(COORDINATOR_ROW) : stopBeat(),
    );
    return {
      channel: {
        post: (message) =>
          soon(() => {
            if (message.type !== 'configure') return;
            write(message.configuration);
            heard({ type: 'answer', id: message.id });
          }),
        listen: (handler) => {
          heard = handler;
        },
        bell: silent,
        unref() {},
        close() {},
      },
      gone: new Promise((resolve) => {
        gone = resolve;
      }),
      end: () => Promise.resolve(end()),
    };
  }

  /** A thread's timers die with it. */
  #tickerOf(life: Life): Ticker {
    const { ticker } = this.world;
    const owned = (cancel: () => void) => {
      life.timers.add(cancel);
      return () => {
        life.timers.delete(cancel);
        cancel();
      };
    };
    return {
      every: (periodMs, tick) => owned(ticker.every(periodMs, tick)),
      after: (ms, task) => owned(ticker.after(ms, task)),
      soon: (task) => ticker.soon(() => life.alive && task()),
    };
  }
}
