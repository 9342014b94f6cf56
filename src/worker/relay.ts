/**
 * A worker's own loop: records of its up ring become sessions and messages; what they answer goes out through the outbox.
 * Runs in one thread with fakes as well as in its own: everything of the world is an argument.
 */
import { asMillraceError, MillraceError } from '../errors.ts';
import type { RecordHeader } from '../memory/contract.ts';
import { Flag, Kind } from '../memory/layout.ts';
import { createPump, type Pump } from '../memory/signal.ts';
import { must } from '../must.ts';
import { dimensionsOf, schedule } from '../observe/metrics.ts';
import { SOCKET_PROVIDER } from '../options/names.ts';
import type { UpstreamOptions } from '../options/schema.ts';
import { LoopLag } from '../policy/loop-lag.ts';
import { overloadError } from '../policy/overload.ts';
import { RetryBudget } from '../policy/retry.ts';
import { close } from '../protocol/close.ts';
import type { AuthAnswer } from '../protocol/hooks.ts';
import type { Fact } from '../threads/facts.ts';
import type { AuthFacts, Configuration, SessionFacts } from '../threads/messages.ts';
import { MAIN_ROW, slabOwner, WORKER_ROW } from '../threads/roster.ts';
import { Affinity } from './affinity.ts';
import { Alarms } from './alarms.ts';
import { Budgets } from './budgets.ts';
import { Codec } from './codec.ts';
import { Errands } from './errands.ts';
import { HookCalls } from './hook-calls.ts';
import { KeyRing } from './key-ring.ts';
import type { Means } from './means.ts';
import { noModules } from './modules.ts';
import { Outbox } from './outbox.ts';
import { OwnLag } from './own-lag.ts';
import { PlaceQueue } from './place-queue.ts';
import { tellReceived } from './points.ts';
import { IdleSockets } from './proxy/idle-sockets.ts';
import { Proxied } from './proxy/proxied.ts';
import type { RelayParts } from './relay-parts.ts';
import { RequestLimits } from './request-limits.ts';
import { Route } from './route.ts';
import { Session } from './session.ts';
import { Tally } from './tally.ts';
import { readMessage } from './up-record.ts';
import { Warmth } from './warmth.ts';

/** Records handled in one turn of the loop. */
const BATCH_MAX = 256;
/** Idle turns before the worker sleeps: a wake-up costs more than a few looks. */
const POLL_TURNS = 3;

export const RowState = { starting: 0, ready: 1, draining: 2, stopped: 3 } as const;

export class Relay {
  /** Settles when it stopped or found itself retired. */
  readonly stopped: Promise<void>;
  readonly #parts: RelayParts;
  readonly #row: number;
  readonly #ownLag: OwnLag;
  readonly #alarms: Alarms;
  readonly #outbox: Outbox;
  readonly #codec: Codec;
  /** What streams that begin now work with; those that run keep theirs. */
  #means: Means;
  readonly #sessions = new Map<number, Session | Proxied>();
  readonly #pump: Pump;
  readonly #stopBeat: () => void;
  readonly #lag: LoopLag;
  readonly #warmth: Warmth;
  #draining = false;
  #ended = false;
  #settle: () => void = () => {};

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.#row = WORKER_ROW + parts.worker;
    this.stopped = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#alarms = new Alarms(parts.clock, parts.ticker);
    const tally = new Tally(parts.counters, schedule(dimensionsOf(parts.options)));
    this.#outbox = new Outbox({
      ring: parts.down,
      slab: parts.slab,
      sessions: parts.sessions,
      ledger: parts.ledger,
      ticker: parts.ticker,
      slabOwner: slabOwner(this.#row, parts.generation),
      retired: () => this.#isRetired(),
      onFull: () => tally.ringFull(),
    });
    this.#codec = new Codec({
      options: () => this.#means.options,
      tally,
      job: (name, argument) => parts.job(name, argument),
      inCodec: (inside) => parts.threads.setInCodec(this.#row, inside),
      fault: (thrown) => this.#means.fault('compress', asMillraceError(thrown)),
    });
    this.#means = this.#gather(tally);
    const { table, transport, worker } = parts;
    this.#warmth = new Warmth({ table, transport, worker, isRetired: () => this.#isRetired() });
    parts.table.claim(parts.worker, parts.generation);
    parts.threads.setState(this.#row, RowState.ready);
    parts.threads.beat(this.#row);
    this.#ownLag = new OwnLag({
      clock: parts.clock,
      ticker: parts.ticker,
      lagMsMax: () => this.#means.options.server.loopLagMsMax,
      tell: (bound) => parts.threads.setRefusing(this.#row, bound),
    });
    this.#lag = new LoopLag(parts.options.threads.heartbeatMs, parts.clock.now());
    this.#stopBeat = parts.ticker.every(parts.options.threads.heartbeatMs, () => this.#beat());
    this.#pump = createPump({
      consumer: parts.up,
      drain: () => this.#drain(),
      soon: (task) => parts.ticker.soon(task),
      turnsMax: POLL_TURNS,
    });
    parts.ticker.soon(() => this.#warm());
  }

  /** Streams running now. */
  get running(): number {
    return this.#means.tally.running;
  }

  /** Records and replies that wait for credit or space. */
  get waiting(): number {
    return this.#outbox.waiting;
  }

  /** main rang: there are records, or space. */
  bell(): void {
    if (this.#ended) return;
    this.#outbox.spaced();
    this.#pump.ring();
  }

  /** The user's code decides who comes in. */
  get asksAuth(): boolean {
    return this.#means.hooks?.has('onAuth') ?? false;
  }

  /** May this client connect? Asked by main, answered by the user's hook. */
  auth({ query, ...asked }: AuthFacts, settle: (answer: AuthAnswer | MillraceError) => void): void {
    const { hooks } = this.#means;
    must(hooks, 'main asks only where there is a hook');
    hooks.auth({ ...asked, query: new URLSearchParams(query) }, settle);
  }

  /** Changed options: for streams that begin from now on. What is bound to a session or to the thread stays as it was. */
  configure({ options, seats }: Configuration): void {
    if (this.#ended) return;
    const { route, backEnds, budget, hedges, limits } = this.#means;
    const { retriesRunningShare, retriesRunningMax } = options.stream;
    limits.configure(options);
    route.configure(options, seats);
    backEnds.configure(options, seats);
    budget.follow(retriesRunningShare, retriesRunningMax);
    hedges.follow(options.stream.hedgeShareMax, 1);
    this.#parts.ledger.bound(options.memory.memoryBytesMax);
    this.#means = { ...this.#means, options };
    this.#warm();
  }

  #gather(tally: Tally): Means {
    const { options, clock, random, transport, providers, table, worker, generation } = this.#parts;
    const { retriesRunningShare, retriesRunningMax } = options.stream;
    const { modules = noModules } = this.#parts;
    const alarms = this.#alarms;
    const soon = (task: () => void) => this.#parts.ticker.soon(task);
    const fault = (where: string, error: MillraceError) =>
      this.#publish({ fact: 'fault', where: `worker ${where}`, text: error.message });
    const world = { options, clock, alarms, soon, tally, fault };
    // The golden ratio: however many workers there are, their sweeps begin apart.
    const from = (worker * 0.618) % 1;
    const limits = new RequestLimits(options, { table: this.#parts.limits, clock, tally, from });
    const book = this.#parts.reservations;
    const routeOf = (serves: (upstream: UpstreamOptions) => boolean) => {
      const route = new Route({
        table,
        clock,
        random,
        worker,
        generation,
        serves,
        limits,
        circuit: (upstream, model, change) =>
          this.#publish({ fact: 'upstream-circuit', upstream, model, change }),
      });
      route.configure(options, this.#parts.seats);
      return route;
    };
    return {
      ...world,
      worker,
      random,
      transport,
      providers,
      modules,
      hooks: modules.hooks && new HookCalls(modules.hooks, world),
      coalesce: (next, onMerged) => this.#parts.coalesce(next, onMerged),
      route: routeOf(({ provider }) => provider !== SOCKET_PROVIDER),
      backEnds: routeOf(({ provider }) => provider === SOCKET_PROVIDER),
      sockets: this.#parts.sockets,
      idleSockets: new IdleSockets(alarms, () => clock.now()),
      queue: new PlaceQueue(() => this.#means.options, clock, alarms, soon),
      limits,
      budgets: new Budgets({ limits, book, worker, generation, clock, tally }),
      affinity: new Affinity(),
      keys: new KeyRing(table, clock),
      budget: new RetryBudget(retriesRunningShare, retriesRunningMax),
      hedges: new RetryBudget(options.stream.hedgeShareMax, 1),
      lingering: new Set(),
      errands: new Errands(transport, this.#parts.ticker),
      publish: (fact) => this.#publish(fact),
    };
  }

  #warm(): void {
    if (this.#ended || this.#draining) return;
    const { route, options } = this.#means;
    this.#warmth.look(route.all, options.pool.warmConnections);
  }

  #publish(fact: Fact): void {
    if (!this.#isRetired()) this.#parts.publish(fact);
  }

  #isRetired(): boolean {
    return this.#parts.threads.generation(this.#row) !== this.#parts.generation;
  }

  #beat(): void {
    if (this.#isRetired()) return this.#end();
    this.#means.tally.lag(this.#lag.tick(this.#parts.clock.now()));
    this.#parts.threads.beat(this.#row);
    this.#means.limits.sweep();
    this.#warm();
  }

  #drain(): number {
    if (this.#ended) return 0;
    if (this.#isRetired()) {
      this.#end();
      return 0;
    }
    this.#parts.threads.beat(this.#row);
    return this.#parts.up.drain(BATCH_MAX, (header, payload) => this.#record(header, payload));
  }

  #record(header: RecordHeader, payload: Uint8Array): void {
    // What came behind a `stop` is nobody's any more.
    if (this.#ended) return;
    switch (header.kind) {
      case Kind.sessionOpen:
        return this.#open(header, payload);
      case Kind.message:
        return this.#message(header, payload);
      case Kind.sessionClose:
        return this.#forget(header, Buffer.from(new Uint8Array(payload)).toString());
      case Kind.credit:
        return this.#outbox.credited(header.slot);
      case Kind.drain:
        this.#draining = true;
        return this.#parts.threads.setState(this.#row, RowState.draining);
      case Kind.stop:
        return this.#stop();
      default:
        must(false, `main writes no records of kind ${header.kind}`);
    }
  }

  #open(header: RecordHeader, payload: Uint8Array): void {
    const { slot, generation } = header;
    const former = this.#sessions.get(slot);
    if (former?.generation === generation) return;
    former?.close(close.away, '');
    // A copy first: shared memory is never decoded.
    const facts = JSON.parse(Buffer.from(payload).toString()) as SessionFacts;
    const means = () => this.#means;
    const parts = {
      // A session outlives options: it asks for them anew each time.
      get means() {
        return means();
      },
      outbox: this.#outbox,
      facts,
      slot,
      generation,
    };
    if (facts.dialect === 'proxy') {
      const proxied = new Proxied(parts);
      this.#sessions.set(slot, proxied);
      return proxied.start();
    }
    const dialect = this.#parts.dialects[facts.dialect];
    must(dialect, `no dialect ${facts.dialect}`);
    const session = new Session(
      // Into the object that has the getter: a copy would keep what it says now.
      Object.assign(parts, {
        dialect,
        parse: (bytes: Uint8Array) => this.#parts.job('parse', bytes),
        ...this.#codec.session(facts),
        draining: () => this.#draining,
        overload: () => this.#overload(),
      }),
    );
    this.#sessions.set(slot, session);
  }

  /** Why a new turn is refused now; undefined: it is not. */
  #overload(): MillraceError | undefined {
    const own = this.#ownLag.turn();
    return overloadError(this.#parts.threads.refusing(MAIN_ROW) || own);
  }

  #message(header: RecordHeader, payload: Uint8Array): void {
    const { slab } = this.#parts;
    const binary = (header.flags & Flag.binary) !== 0;
    const large = (header.flags & Flag.ticket) !== 0;
    const { message, skip, paid } = readMessage(payload, binary, large ? slab : undefined);
    const session = this.#sessions.get(header.slot);
    if (session?.generation !== header.generation) return;
    tellReceived(header.slot, header.stream, message.bytes.byteLength, this.#parts.worker);
    session.message(message, header.stream, skip, paid);
  }

  #forget({ slot, generation, aux0 }: RecordHeader, reason: string): void {
    const session = this.#sessions.get(slot);
    if (session?.generation !== generation) return;
    this.#sessions.delete(slot);
    session.close(aux0, reason);
  }

  /** Running streams end with a failure their clients can act on: connect again. */
  #stop(): void {
    const error: MillraceError = new MillraceError('MILLRACE_DRAINING', {});
    for (const session of this.#sessions.values()) session.abort(error);
    this.#parts.threads.setState(this.#row, RowState.stopped);
    this.#end();
  }

  /** Closes every socket and returns. What is still unsaid stays unsaid. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isRetired()) this.#means.tally.mute();
    this.#stopBeat();
    this.#ownLag.stop();
    this.#pump.stop();
    for (const session of this.#sessions.values()) session.close(close.away, '');
    this.#means.idleSockets.close();
    this.#sessions.clear();
    for (const attempt of this.#means.lingering) attempt.cancel();
    this.#alarms.close();
    const { transport, sockets } = this.#parts;
    // Upstreams hear first that they may stop.
    const told = this.#means.errands.whenIdle();
    const closed = told.then(() => Promise.all([transport.close(), sockets.close()]));
    void closed.then(() => this.#settle());
  }
}
