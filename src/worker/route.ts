/**
 * Stage ③: which upstreams serve a model, which of them may take a stream now (as the shared table says), and which is next.
 */
import type { UpstreamTable } from '../memory/contract.ts';
import { ShareWord, UpstreamWord } from '../memory/layout.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { COOLDOWN_MS, COOLDOWN_MS_MAX } from '../policy/backoff.ts';
import type { Balancer } from '../policy/balance/balancer.ts';
import type { Clock } from '../policy/ports.ts';
import type { ModelList } from '../protocol/dialect.ts';
import type { UpstreamAddress } from '../protocol/transport.ts';

const CIRCUIT_OPEN = 1;

export interface RouteParts {
  readonly options: Options;
  readonly table: UpstreamTable;
  readonly balancer: Balancer;
  readonly clock: Clock;
  /** This worker's number: its own rows in the table. */
  readonly worker: number;
  /** Its incarnation: rows that another one has taken over are left alone. */
  readonly generation: number;
}

/** One configured upstream, by its index in the options and in the table. */
export interface Upstream {
  readonly index: number;
  readonly options: UpstreamOptions;
  readonly address: UpstreamAddress;
  /** Path of the base URL, without a slash at its end. */
  readonly basePath: string;
}

export class Route {
  readonly models: ModelList;
  readonly #parts: RouteParts;
  readonly #upstreams: readonly Upstream[];
  readonly #byModel = new Map<string, readonly number[]>();
  /** Upstreams that name no models. */
  readonly #others: readonly number[];

  constructor(parts: RouteParts) {
    this.#parts = parts;
    this.#upstreams = parts.options.upstreams.map(resolve);
    const indexes = [...this.#upstreams.keys()];
    const models = (index: number) => this.#upstreams[index].options.models;
    this.#others = indexes.filter((index) => models(index).length === 0);
    for (const name of new Set(indexes.flatMap(models))) {
      this.#byModel.set(
        name,
        indexes.filter((index) => models(index).includes(name)),
      );
    }
    const names = [...this.#byModel.keys()];
    const any = this.#others.length > 0;
    this.models = { names, has: (model) => any || this.#byModel.has(model) };
  }

  upstream(index: number): Upstream {
    return this.#upstreams[index];
  }

  /** Upstreams that could take a stream for the model now, in configured order. */
  usable(model: string): number[] {
    const serving = this.#byModel.get(model) ?? this.#others;
    const nowMs = this.#parts.clock.wall() | 0;
    const usable = serving.filter((index) => this.#isUsable(index, nowMs));
    // Whoever failed several times in a row is the last choice, until a good probe or stream clears it: never the only one left out.
    const steady = usable.filter((index) => !this.#isFailing(index));
    return steady.length > 0 ? steady : usable;
  }

  pick(among: readonly number[], chance: number): number {
    return this.#parts.balancer.pick(among, this.#parts.table, chance);
  }

  acquire(index: number): void {
    if (this.#ownsRow(index)) this.#parts.table.acquire(index, this.#parts.worker);
  }

  /** Exactly once for each `acquire`. 'neither': the client left or asked for nonsense; the upstream is not to blame. */
  release(index: number, outcome: 'succeeded' | 'failed' | 'neither'): void {
    const { table, worker } = this.#parts;
    if (!this.#ownsRow(index)) return;
    table.release(index, worker, outcome !== 'failed');
    if (outcome === 'failed') table.add(index, UpstreamWord.failuresInRow, 1);
    if (outcome === 'succeeded' && table.get(index, UpstreamWord.failuresInRow) !== 0) {
      table.set(index, UpstreamWord.failuresInRow, 0);
    }
  }

  /** The upstream limits the rate: no worker asks it again before that time. Returns for how long. */
  rest(index: number, retryAfterMs: number | undefined): number {
    const ms = Math.min(COOLDOWN_MS_MAX, Math.max(1, Math.ceil(retryAfterMs ?? COOLDOWN_MS)));
    // Wall time is the one clock all threads share; 0 means "no cooldown".
    const until = (this.#parts.clock.wall() + ms) | 0;
    this.#parts.table.set(index, UpstreamWord.cooldownUntil, until === 0 ? 1 : until);
    return ms;
  }

  #ownsRow(index: number): boolean {
    const { table, worker, generation } = this.#parts;
    return table.share(index, worker, ShareWord.generation) === generation;
  }

  #isUsable(index: number, nowMs: number): boolean {
    const { table } = this.#parts;
    if (table.get(index, UpstreamWord.present) === 0) return false;
    if (table.get(index, UpstreamWord.health) === 0) return false;
    if (table.get(index, UpstreamWord.drained) !== 0) return false;
    if (table.get(index, UpstreamWord.circuit) === CIRCUIT_OPEN) return false;
    if (isFuture(table.get(index, UpstreamWord.cooldownUntil), nowMs)) return false;
    return table.inFlight(index) < table.get(index, UpstreamWord.capacity);
  }

  #isFailing(index: number): boolean {
    const { table, options } = this.#parts;
    return table.get(index, UpstreamWord.failuresInRow) >= options.balance.fall;
  }
}

/** On a clock of 32 bits; a time further ahead than any cooldown lasts is a stale one from the former turn of the clock. */
function isFuture(untilMs: number, nowMs: number): boolean {
  const ahead = (untilMs - nowMs) | 0;
  return untilMs !== 0 && ahead > 0 && ahead <= COOLDOWN_MS_MAX;
}

function resolve(options: UpstreamOptions, index: number): Upstream {
  const url = new URL(options.url);
  return {
    index,
    options,
    address: { name: options.name, origin: url.origin },
    basePath: url.pathname.replace(/\/+$/, ''),
  };
}
