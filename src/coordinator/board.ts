/**
 * The rows of the upstream table, as the coordinator writes them: what the configuration says, what probes found, what an operator
 * wants. Workers read them and never wait for us; a coordinator that replaces another takes the rows over as they are.
 */
import { MillraceError } from '../errors.ts';
import type { UpstreamTable } from '../memory/contract.ts';
import { UPSTREAM_ROW_WORDS, UpstreamWord } from '../memory/layout.ts';
import type { Options, UpstreamOptions } from '../options/schema.ts';
import { Health } from '../policy/health.ts';
import { Scale, type ScaleRules } from '../policy/scale.ts';
import type { Seat } from '../policy/upstream-roster.ts';

export class Board {
  readonly #table: UpstreamTable;
  #upstreams: readonly UpstreamOptions[] = [];
  #seats: readonly Seat[] = [];
  #pool: Options['pool'] | undefined;
  readonly #scales = new Map<number, { since: number; rules: ScaleRules; scale: Scale }>();

  constructor(table: UpstreamTable) {
    this.#table = table;
  }

  /**
   * Writes what the configuration says. A row that stays with its upstream keeps what a former coordinator, workers or an operator
   * have put there; a row of no upstream any more takes no new streams, and those that run there finish.
   */
  write({ upstreams, pool }: Pick<Options, 'upstreams' | 'pool'>, seats: readonly Seat[]): void {
    this.#pool = pool;
    const former = new Map(this.#upstreams.map(({ name, models }) => [name, models.join('\n')]));
    const keys = new Map(this.#upstreams.map((upstream) => [upstream.name, keyList(upstream)]));
    this.#upstreams = upstreams;
    this.#seats = seats;
    const seated = new Set(seats.map(({ row }) => row));
    for (let row = 0; row < this.#table.upstreamsMax; row++) {
      if (!seated.has(row)) this.#table.set(row, UpstreamWord.present, 0);
    }
    for (const [at, upstream] of upstreams.entries()) {
      const { name, models, weight } = upstream;
      const { row, since } = seats[at];
      const isNew =
        this.#table.get(row, UpstreamWord.present) === 0 ||
        this.#table.get(row, UpstreamWord.epoch) !== since;
      if (isNew) this.#clear(row);
      // A circuit belongs to a place in the list of models.
      else if ((former.get(name) ?? models.join('\n')) !== models.join('\n')) {
        this.#table.clearCircuits(row);
      }
      // A rest belongs to a place in the list of keys.
      if (isNew || (keys.get(name) ?? keyList(upstream)) !== keyList(upstream))
        this.#table.clearKeys(row);
      const byHand = this.#table.get(row, UpstreamWord.weightByHand);
      this.#table.set(row, UpstreamWord.weight, byHand || weight);
      this.#places(row, upstream, pool);
      this.#table.set(row, UpstreamWord.epoch, since);
      // Last: workers choose among rows that are present.
      this.#table.set(row, UpstreamWord.present, 1);
    }
    this.#table.bump();
  }

  /** A pool that grew stays as large as it is, within its bounds. */
  #places(row: number, upstream: UpstreamOptions, { enableAutoScaling }: Options['pool']): void {
    const { minConnections, maxConnections } = upstream;
    const now = this.#table.get(row, UpstreamWord.capacity);
    const least = enableAutoScaling ? Math.min(minConnections, maxConnections) : maxConnections;
    const places = Math.min(maxConnections, Math.max(least, now));
    this.#table.set(row, UpstreamWord.capacityMax, maxConnections);
    this.#table.set(row, UpstreamWord.capacity, places);
  }

  /**
   * Looks at every pool: fewer places where the load has been low for some time, more where it is high. Workers raise a pool
   * themselves when a stream needs it; then that is what counts here.
   */
  scale(nowMs: number): void {
    if (!this.#pool?.enableAutoScaling) return;
    const { scaleUpThreshold: up, scaleDownThreshold: down } = this.#pool;
    for (const [at, { minConnections, maxConnections }] of this.#upstreams.entries()) {
      const { row, since } = this.#seats[at];
      const rules = {
        min: Math.min(minConnections, maxConnections),
        max: maxConnections,
        up,
        down,
      };
      const before = this.#table.get(row, UpstreamWord.capacity);
      const scale = this.#scaleOf(row, since, rules);
      scale.adopt(before);
      const isWell = this.#table.get(row, UpstreamWord.health) !== Health.failed;
      const size = scale.tick(this.#table.inFlight(row), 0, nowMs, isWell);
      if (size === before) continue;
      if (this.#table.compareAndSet(row, UpstreamWord.capacity, before, size)) this.#table.bump();
    }
  }

  #scaleOf(row: number, since: number, rules: ScaleRules): Scale {
    const known = this.#scales.get(row);
    const same = known?.since === since && JSON.stringify(known.rules) === JSON.stringify(rules);
    if (known && same) return known.scale;
    const scale = new Scale(rules);
    this.#scales.set(row, { since, rules, scale });
    return scale;
  }

  /** Nothing is known of an upstream that comes new into a row, whoever had it before. */
  #clear(row: number): void {
    this.#table.set(row, UpstreamWord.present, 0);
    for (let word = 0; word < UPSTREAM_ROW_WORDS; word++) this.#table.set(row, word, 0);
    this.#table.clearCircuits(row);
    this.#table.set(row, UpstreamWord.health, Health.unknown);
  }

  health(row: number): number {
    return this.#table.get(row, UpstreamWord.health);
  }

  /** What the last probe said. It says nothing about circuits: a server may answer probes and fail answers. */
  probed(row: number, health: number): void {
    if (this.health(row) === health) return;
    this.#table.set(row, UpstreamWord.health, health);
    this.#table.bump();
  }

  /** Takes an upstream out of choice by hand, or back in; its running streams finish. Throws for an unknown name. */
  drain(name: string, drained: boolean): void {
    this.#table.set(this.#rowOf(name).row, UpstreamWord.drained, drained ? 1 : 0);
    this.#table.bump();
  }

  /** Another weight than the configured one, over changes of the configuration; 0: the configured one again. Returns what counts now. Throws for an unknown name. */
  weigh(name: string, byHand: number): number {
    const { row, weight } = this.#rowOf(name);
    this.#table.set(row, UpstreamWord.weightByHand, byHand);
    this.#table.set(row, UpstreamWord.weight, byHand || weight);
    this.#table.bump();
    return byHand || weight;
  }

  #rowOf(name: string): { readonly row: number; readonly weight: number } {
    const index = this.#upstreams.findIndex((upstream) => upstream.name === name);
    if (index < 0) {
      const names = this.#upstreams.map((upstream) => upstream.name).join(', ');
      const expected = names === '' ? 'a configured upstream (there is none)' : `one of ${names}`;
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'upstream', expected, got: name });
    }
    return { row: this.#seats[index].row, weight: this.#upstreams[index].weight };
  }
}

function keyList({ apiKey, apiKeys }: UpstreamOptions): string {
  return JSON.stringify([apiKey ?? null, ...apiKeys]);
}
