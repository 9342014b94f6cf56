/**
 * Stage ③: which upstreams serve a model, which of them may take a stream now (as the shared table says), and which is next.
 *
 *   serving the model ─▶ standing: present, well, not drained ─▶ circuit admits, ramp lets in ─▶ not cooling down, with room ─▶ balancer ─▶ Place
 *                                                            └ too few left: circuits count no more (panic)
 */
import type { CircuitCell, UpstreamTable } from '../memory/contract.ts';
import { CIRCUITS_PER_UPSTREAM, ShareWord, UpstreamWord } from '../memory/layout.ts';
import { must } from '../must.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { COOLDOWN_MS, COOLDOWN_MS_MAX } from '../policy/backoff.ts';
import { type Balancer, type Draw } from '../policy/balance/balancer.ts';
import { createBalancer } from '../policy/balance/balancers.ts';
import {
  type Admitted,
  admit,
  Circuit,
  type CircuitChange,
  type CircuitRules,
  circuitState,
  failed,
  ramp,
  wouldAdmit,
} from '../policy/circuit.ts';
import { isPanic, mayEject } from '../policy/ejection.ts';
import type { Clock, Random } from '../policy/ports.ts';
import { grown } from '../policy/scale.ts';
import type { Seat } from '../policy/upstream-roster.ts';
import type { ModelList } from '../protocol/dialect.ts';
import type { UpstreamAddress } from '../protocol/transport.ts';
import type { Home } from './affinity.ts';
import { TableLoads } from './loads.ts';
import { Place, type PlaceOutcome } from './place.ts';
import type { RequestLimits } from './request-limits.ts';

export interface RouteParts {
  readonly table: UpstreamTable;
  readonly clock: Clock;
  readonly random: Random;
  /** This worker's number: its own rows in the table. */
  readonly worker: number;
  /** Its incarnation: rows that another one has taken over are left alone. */
  readonly generation: number;
  /** What of it one upstream may have. */
  readonly limits?: Pick<RequestLimits, 'upstreamWaitMs' | 'giveUpstream'>;
  /** Is this upstream one of its own? The others are somebody else's. */
  serves(upstream: UpstreamOptions): boolean;
  /** A circuit opened or closed by what a stream of this worker met. */
  circuit(upstream: string, model: string, change: 'opened' | 'closed'): void;
}

/** One configured upstream, by its row in the table. */
export interface Upstream {
  readonly index: number;
  /** Epoch that the row carries as long as it is this upstream's. */
  readonly since: number;
  readonly options: UpstreamOptions;
  readonly address: UpstreamAddress;
  /** Path of the base URL, without a slash at its end. */
  readonly basePath: string;
  /** None, one, or those that take turns. */
  readonly apiKeys: readonly string[];
}

/** What follows from one configuration. */
interface Plan {
  readonly pool: Options['pool'];
  readonly balance: Options['balance'];
  readonly rules: CircuitRules;
  readonly balancer: Balancer;
  readonly upstreams: ReadonlyMap<number, Upstream>;
  readonly byModel: ReadonlyMap<string, readonly number[]>;
  readonly numbers: ReadonlyMap<string, number>;
  /** Upstreams that name no models. */
  readonly others: readonly number[];
}

export class Route {
  /** What is served now: a session keeps this list, and sees every change. */
  readonly models: ModelList;
  readonly #parts: RouteParts;
  readonly #loads: TableLoads;
  #plan: Plan | undefined;
  #couldWait = false;

  constructor(parts: RouteParts) {
    this.#parts = parts;
    this.#loads = new TableLoads(parts.table, parts.worker);
    const plan = () => this.#now;
    this.models = {
      get names() {
        return [...plan().byModel.keys()];
      },
      has: (model) => plan().others.length > 0 || plan().byModel.has(model),
    };
  }

  /** Before the first use, and again with changed options: they hold for further attempts of running streams too. Streams at an upstream that left finish there. */
  configure(options: Options, seats: readonly Seat[]): void {
    const { balance, pool } = options;
    const former = this.#plan;
    const strategy = balance.loadBalanceStrategy;
    const kept = former?.balance.loadBalanceStrategy === strategy ? former.balancer : undefined;
    const now = options.upstreams
      .map((each, at) => resolve(each, seats[at]))
      .filter((each) => this.#parts.serves(each.options));
    const rowsOf = (serves: (models: readonly string[]) => boolean) =>
      now.filter((each) => serves(each.options.models)).map(({ index }) => index);
    const names = [...new Set(now.flatMap((each) => each.options.models))];
    this.#plan = {
      pool,
      balance,
      rules: rulesOf(options),
      balancer: kept ?? createBalancer(strategy),
      upstreams: new Map(now.map((upstream) => [upstream.index, upstream])),
      byModel: new Map(names.map((name) => [name, rowsOf((models) => models.includes(name))])),
      numbers: new Map(names.map((name, number) => [name, number])),
      others: rowsOf((models) => models.length === 0),
    };
    for (const { index, since } of now) {
      if (former?.upstreams.get(index)?.since === since || !this.#ownsRow(index)) continue;
      // What this worker had measured there was somebody else's.
      this.#parts.table.setShare(index, this.#parts.worker, ShareWord.firstTokenUs, 0);
    }
  }

  get #now(): Plan {
    must(this.#plan, 'a route is configured before it is used');
    return this.#plan;
  }

  /** All of them, and whether streams may go there now. */
  get all(): { readonly upstream: Upstream; readonly stands: boolean }[] {
    const upstreams = [...this.#now.upstreams.values()];
    return upstreams.map((upstream) => ({ upstream, stands: this.#isStanding(upstream.index) }));
  }

  /** One that `take` chose in this turn. */
  upstream(index: number): Upstream {
    const upstream = this.#now.upstreams.get(index);
    must(upstream, 'an upstream that is not configured');
    return upstream;
  }

  /** Upstreams that could take a stream for the model now, in configured order. */
  usable(model: string): number[] {
    const nowMs = this.#wallMs();
    const standing = this.#serving(model).filter((index) => this.#isStanding(index));
    const admitting = standing.filter((index) => this.#admits(index, model, nowMs));
    const { balance } = this.#now;
    const panic = admitting.length === 0 || isPanic(balance, standing.length, admitting.length);
    const open = panic ? standing : admitting;
    this.#couldWait = open.length > 0;
    return open.filter((index) => this.#hasRoom(index, nowMs));
  }

  /** What `usable` has just refused lacks nothing but room (or a cooldown's end): it pays to wait. */
  get couldWait(): boolean {
    return this.#couldWait;
  }

  /**
   * Chooses among usable upstreams and takes a place at one; the caller gives it back. `home`: where it goes if it can. Undefined: in this very moment other threads
   * took the last places.
   */
  take(among: readonly number[], model: string, home?: Home): Place | undefined {
    const { random } = this.#parts;
    const { balancer, rules } = this.#now;
    const draw: Draw = { key: this.#number(model), chance: random.next(), nowMs: this.#wallMs() };
    for (let left = among; left.length > 0; ) {
      const index = this.#isIn(left, home) ? home.index : balancer.pick(left, this.#loads, draw);
      if (this.#enter(index)) {
        const cell = this.#cell(index, model);
        // In a panic, or when another thread was faster, nobody admits us: it is asked all the same, and what comes of it changes nothing.
        const admitted = admit(cell, rules, draw.nowMs) ?? { version: -1, probe: false };
        return new Place(index, model, cell, admitted, this);
      }
      left = left.filter((other) => other !== index);
    }
    return undefined;
  }

  /** Whoever may not be asked yet rests, for every worker, as if the upstream had said so itself. */
  #enter(index: number): boolean {
    const { limits } = this.#parts;
    const { name } = this.upstream(index).options;
    const waitMs = limits?.upstreamWaitMs(name) ?? 0;
    if (waitMs > 0) {
      this.rest(index, waitMs);
      return false;
    }
    if (!this.#ownsRow(index) || this.#acquire(index)) return true;
    limits?.giveUpstream(name);
    return false;
  }

  #isIn(among: readonly number[], home: Home | undefined): home is Home {
    if (home === undefined || !among.includes(home.index)) return false;
    return this.upstream(home.index).since === home.since;
  }

  /** A place, if need be one of those the pool may still have: nobody waits for a pool to grow. */
  #acquire(index: number): boolean {
    const { table, worker } = this.#parts;
    for (;;) {
      const taken = table.tryAcquire(index, worker);
      const size = table.get(index, UpstreamWord.capacity);
      const next = this.#grown(index, size, table.inFlight(index) + (taken ? 0 : 1));
      const grew = next > size && table.compareAndSet(index, UpstreamWord.capacity, size, next);
      if (taken || (!grew && table.get(index, UpstreamWord.capacity) === size)) return taken;
    }
  }

  /** How many places the pool has for this load. */
  #grown(index: number, size: number, load: number): number {
    const { enableAutoScaling, scaleUpThreshold, scaleDownThreshold } = this.#now.pool;
    if (!enableAutoScaling) return size;
    const max = this.#parts.table.get(index, UpstreamWord.capacityMax);
    return grown(size, load, { max, up: scaleUpThreshold, down: scaleDownThreshold });
  }

  /** The upstream limits the rate: no worker asks it again before that time. Returns for how long. */
  rest(index: number, retryAfterMs: number | undefined): number {
    const ms = Math.min(COOLDOWN_MS_MAX, Math.max(1, Math.ceil(retryAfterMs ?? COOLDOWN_MS)));
    // Wall time is the one clock all threads share; 0 means "no cooldown".
    const until = (this.#parts.clock.wall() + ms) | 0;
    this.#parts.table.set(index, UpstreamWord.cooldownUntil, until === 0 ? 1 : until);
    return ms;
  }

  // What a Place needs of us.

  leave(index: number, outcome: PlaceOutcome): void {
    const { table, worker } = this.#parts;
    if (this.#ownsRow(index)) table.release(index, worker, outcome !== 'failed');
  }

  observe(index: number, firstTokenMs: number): void {
    if (this.#ownsRow(index)) this.#loads.observe(index, firstTokenMs * 1_000, this.#wallMs());
  }

  failure(index: number, model: string, cell: CircuitCell, admitted: Admitted): CircuitChange {
    // Nobody chooses there any more: nothing to take out.
    if (!this.#now.upstreams.has(index)) return undefined;
    const mayOpen = () => this.#mayEject(index, model);
    const chance = this.#parts.random.next();
    return failed(cell, this.#now.rules, admitted, this.#wallMs(), chance, mayOpen);
  }

  changed(index: number, model: string, change: CircuitChange): void {
    const upstream = this.#now.upstreams.get(index);
    if (change === undefined || !upstream) return;
    this.#parts.table.bump();
    this.#parts.circuit(upstream.options.name, model, change);
  }

  wallMs(): number {
    return this.#wallMs();
  }

  /** On the 32-bit clock that all threads share. */
  #wallMs(): number {
    return this.#parts.clock.wall() | 0;
  }

  #serving(model: string): readonly number[] {
    return this.#now.byModel.get(model) ?? this.#now.others;
  }

  /** A number for the model, the same in every thread. */
  #number(model: string): number {
    return this.#now.numbers.get(model) ?? hash(model);
  }

  #cell(index: number, model: string): CircuitCell {
    const at = this.upstream(index).options.models.indexOf(model);
    return this.#parts.table.circuit(index, at >= 0 ? at : hash(model) % CIRCUITS_PER_UPSTREAM);
  }

  #mayEject(index: number, model: string): boolean {
    const serving = this.#serving(model);
    const out = serving.filter((other) => other !== index && this.#isOut(other, model)).length;
    return mayEject(this.#now.balance, serving.length, out);
  }

  #isOut(index: number, model: string): boolean {
    return !this.#isStanding(index) || circuitState(this.#cell(index, model)) !== Circuit.closed;
  }

  /** After an outage it gets a growing share of what it would get. */
  #admits(index: number, model: string, nowMs: number): boolean {
    const cell = this.#cell(index, model);
    const { rules, balance } = this.#now;
    if (!wouldAdmit(cell, rules, nowMs)) return false;
    const share = ramp(cell, balance.slowStartMs, nowMs);
    return share === 1 || this.#parts.random.next() < share;
  }

  #ownsRow(index: number): boolean {
    const { table, worker, generation } = this.#parts;
    return table.share(index, worker, ShareWord.generation) === generation;
  }

  #isStanding(index: number): boolean {
    const { table } = this.#parts;
    if (table.get(index, UpstreamWord.present) === 0) return false;
    // Given to another upstream, of which this worker will hear soon.
    if (table.get(index, UpstreamWord.epoch) !== this.upstream(index).since) return false;
    if (table.get(index, UpstreamWord.health) === 0) return false;
    return table.get(index, UpstreamWord.drained) === 0;
  }

  #hasRoom(index: number, nowMs: number): boolean {
    const { table } = this.#parts;
    if (isFuture(table.get(index, UpstreamWord.cooldownUntil), nowMs)) return false;
    const running = table.inFlight(index);
    const size = table.get(index, UpstreamWord.capacity);
    return running < size || running < this.#grown(index, size, running + 1);
  }
}

/** On a clock of 32 bits; a time further ahead than any cooldown lasts is a stale one from the former turn of the clock. */
function isFuture(untilMs: number, nowMs: number): boolean {
  const ahead = (untilMs - nowMs) | 0;
  return untilMs !== 0 && ahead > 0 && ahead <= COOLDOWN_MS_MAX;
}

function rulesOf({ balance }: Options): CircuitRules {
  return {
    enabled: balance.enableCircuitBreaker,
    threshold: balance.circuitBreakerThreshold,
    timeoutMs: balance.circuitBreakerTimeoutMs,
    probes: balance.circuitBreakerProbes,
  };
}

/** FNV-1a over the text's code units: the same number in every thread, for models that no configuration names. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}

function resolve(options: UpstreamOptions, { row, since }: Seat): Upstream {
  const url = new URL(options.url);
  const { name, reader, continuesById } = options;
  return {
    index: row,
    since,
    options,
    address: { name, origin: url.origin, reader, continuesById },
    basePath: url.pathname.replace(/\/+$/, ''),
    apiKeys: [...(options.apiKey === undefined ? [] : [options.apiKey]), ...options.apiKeys],
  };
}
