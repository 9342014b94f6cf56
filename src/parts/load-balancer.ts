/**
 * The guide's load balancing, alone: which of several endpoints is next.
 *
 *     const balancer = new LoadBalancer({ strategy: 'LeastConnections' });
 *     balancer.add('a', 'ws://10.0.0.1').add('b', 'ws://10.0.0.2', { weight: 3 });
 *     const picked = balancer.select();                       // { id, value, release }
 *     try { … } finally { picked?.release(); }
 */
import { MillraceError } from '../errors.ts';
import type { Balancer, Loads } from '../policy/balance/balancer.ts';
import { createBalancer, type Strategy } from '../policy/balance/balancers.ts';
import { faded, observed } from '../policy/balance/peak-ewma.ts';
import { sharedNow } from '../threads/shared-now.ts';

/** RoundRobin, LeastConnections, WeightedRoundRobin (smooth), Random, P2C (the better of two random ones by time to first token and load). */
export type LoadBalanceStrategy = Strategy;

export interface LoadBalancerOptions {
  /** Default: LeastConnections. */
  readonly strategy?: LoadBalanceStrategy;
  /** Uniform in [0, 1). Default: Math.random. */
  readonly random?: () => number;
  /** The time in milliseconds, never going back. Default: the machine's. */
  readonly clock?: () => number;
}

export interface Picked<T> {
  readonly id: string;
  readonly value: T;
  /** It is not in use any more; the first call counts. `firstTokenMs`: how long it took to answer, for P2C. */
  release(firstTokenMs?: number): void;
}

export interface EndpointStats {
  readonly id: string;
  readonly weight: number;
  /** Selected and not released. */
  readonly inFlight: number;
  /** How often it was selected. */
  readonly selected: number;
}

interface Endpoint<T> {
  readonly id: string;
  readonly value: T;
  readonly weight: number;
  inFlight: number;
  selected: number;
  firstTokenUs: number;
  measuredMs: number;
}

const WEIGHT_MAX = 65_535;

export class LoadBalancer<T = undefined> {
  readonly #balancer: Balancer;
  readonly #random: () => number;
  readonly #clock: () => number;
  /** By number; a removed one's number goes to the next that is added. */
  readonly #endpoints: (Endpoint<T> | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  /** All numbers in the order they were added; the same array as long as nothing changes. */
  #all: readonly number[] = [];
  #epoch = 0;
  #turn = 0;
  readonly #loads: Loads = {
    turn: () => this.#turn++,
    inFlight: (number) => this.#at(number).inFlight,
    inFlightOf: (numbers, into) => {
      for (const [at, number] of numbers.entries()) into[at] = this.#at(number).inFlight;
    },
    weight: (number) => this.#at(number).weight,
    epoch: () => this.#epoch,
    firstTokenUs: (number, nowMs) => {
      const { firstTokenUs, measuredMs } = this.#at(number);
      return firstTokenUs && faded(firstTokenUs, nowMs - measuredMs);
    },
  };

  constructor(options: LoadBalancerOptions = {}) {
    this.#balancer = createBalancer(options.strategy ?? 'LeastConnections');
    this.#random = options.random ?? Math.random;
    this.#clock = options.clock ?? sharedNow;
  }

  get size(): number {
    return this.#all.length;
  }

  /** @throws MILLRACE_FIELD_INVALID for an id that is there, or a weight that is no integer from 1 to 65535. */
  add(id: string, value: T, { weight = 1 }: { readonly weight?: number } = {}): this {
    if (this.#numbers.has(id))
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'id', expected: 'new', got: id });
    if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
      const expected = `an integer from 1 to ${WEIGHT_MAX}`;
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'weight', expected, got: weight });
    }
    const free = this.#endpoints.indexOf(undefined);
    const number = free < 0 ? this.#endpoints.length : free;
    const count = { inFlight: 0, selected: 0, firstTokenUs: 0, measuredMs: 0 };
    this.#endpoints[number] = { id, value, weight, ...count };
    this.#numbers.set(id, number);
    this.#all = [...this.#all, number];
    this.#epoch++;
    return this;
  }

  /** Whoever has selected it goes on and may release it. False: there was none. */
  remove(id: string): boolean {
    const number = this.#numbers.get(id);
    if (number === undefined) return false;
    this.#numbers.delete(id);
    this.#endpoints[number] = undefined;
    this.#all = this.#all.filter((other) => other !== number);
    this.#epoch++;
    return true;
  }

  /** The next one, among those that `usable` admits (absent: all of them). Undefined: there is none. */
  select(usable?: (id: string, inFlight: number) => boolean): Picked<T> | undefined {
    const among = usable ? this.#among(usable) : this.#all;
    if (among.length === 0) return undefined;
    const draw = { key: 0, chance: this.#random(), nowMs: this.#clock() };
    const endpoint = this.#at(this.#balancer.pick(among, this.#loads, draw));
    endpoint.inFlight++;
    endpoint.selected++;
    let held = true;
    const release = (firstTokenMs?: number): void => {
      if (!held) return;
      held = false;
      endpoint.inFlight--;
      if (firstTokenMs !== undefined) this.#observe(endpoint, firstTokenMs);
    };
    return { id: endpoint.id, value: endpoint.value, release };
  }

  getStats(): EndpointStats[] {
    return this.#all.map((number) => {
      const { id, weight, inFlight, selected } = this.#at(number);
      return { id, weight, inFlight, selected };
    });
  }

  #among(usable: (id: string, inFlight: number) => boolean): readonly number[] {
    const among = this.#all.filter((number) => {
      const { id, inFlight } = this.#at(number);
      return usable(id, inFlight);
    });
    return among.length === this.#all.length ? this.#all : among;
  }

  #at(number: number): Endpoint<T> {
    return this.#endpoints[number] as Endpoint<T>;
  }

  #observe(endpoint: Endpoint<T>, firstTokenMs: number): void {
    const nowMs = this.#clock();
    const sinceMs = nowMs - endpoint.measuredMs;
    endpoint.firstTokenUs = observed(endpoint.firstTokenUs, sinceMs, 1_000 * firstTokenMs);
    endpoint.measuredMs = nowMs;
  }
}
