/**
 * The limits that a request meets on its worker, where its key and its model are known: all of them or none, the narrowest first, so that a key which is over its own limit
 * takes nothing from anybody else. And the one that an attempt meets at its upstream.
 */
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import { type Budget, budgetOf, type Claim, takeAll } from '../policy/limit/claim.ts';
import { LimitPlan, type SharedLimits } from '../policy/limit/limit-plan.ts';
import type { Clock } from '../policy/ports.ts';
import type { Tally } from './tally.ts';

/** Of the table, with every sign of life. */
const SWEEP_SHARE = 1 / 16;
const WAIT_MS_MAX = 86_400_000;

export interface RequestLimitParts {
  readonly table: SharedLimits;
  readonly clock: Clock;
  readonly tally: Tally;
  /** Where in the table this worker's sweeps begin, 0 to 1. */
  readonly from: number;
}

export class RequestLimits {
  readonly #parts: RequestLimitParts;
  readonly #told: Tally['limit'];
  readonly #upstreams = new Map<string, Claim>();
  #plan: LimitPlan;

  constructor(options: Options, parts: RequestLimitParts) {
    this.#parts = parts;
    this.#told = (scope, verdict) => parts.tally.limit(scope, verdict);
    this.#plan = new LimitPlan(options.limits, parts.table, parts.clock, parts.from);
  }

  configure({ limits }: Options): void {
    const { table, clock, from } = this.#parts;
    if (JSON.stringify(limits) === JSON.stringify(this.#plan.options)) return;
    this.#plan = new LimitPlan(limits, table, clock, from);
    this.#upstreams.clear();
  }

  get plan(): LimitPlan {
    return this.#plan;
  }

  /** Does a refusal end the session? */
  get closes(): boolean {
    return this.#plan.options.whenRefused === 'close';
  }

  /** Takes one request from each of them. How many milliseconds from now its turn comes; an error: one refused, and nothing was taken. */
  take(claims: readonly Claim[]): MillraceError | number {
    const nowMs = this.#parts.clock.now();
    const refused = takeAll(claims, 1, nowMs, this.#told);
    if (typeof refused === 'number') return refused;
    const waitMs = Math.min(WAIT_MS_MAX, Math.max(1, Math.ceil(refused.waitMs(1, nowMs))));
    return new MillraceError('MILLRACE_RATE_LIMITED', { waitMs });
  }

  left(claims: readonly Claim[]): Budget | undefined {
    const nowMs = this.#parts.clock.now();
    // A session that asks for the first time does not know yet where its key's words lie.
    for (const claim of claims) claim.locate(nowMs);
    return budgetOf(claims, nowMs);
  }

  /** An attempt at this upstream: 0, or how long nobody may ask it. What was taken for an attempt that is not made goes back by `giveUpstream`. */
  upstreamWaitMs(upstream: string): number {
    const claim = this.#ofUpstream(upstream);
    if (!claim) return 0;
    const nowMs = this.#parts.clock.now();
    const taken = claim.take(1, nowMs) >= 0;
    this.#told('upstream', taken ? 'allowed' : claim.shadow ? 'shadowed' : 'refused');
    return taken || claim.shadow ? 0 : Math.max(1, claim.waitMs(1, nowMs));
  }

  giveUpstream(upstream: string): void {
    this.#ofUpstream(upstream)?.give(1, this.#parts.clock.now());
  }

  /** Now and then: keys that have all of their capacity again make room. */
  sweep(): void {
    this.#plan.sweep(SWEEP_SHARE, this.#parts.clock.now());
  }

  /** Upstreams are few; their names are the operator's. */
  #ofUpstream(upstream: string): Claim | undefined {
    const known = this.#upstreams.get(upstream);
    if (known) return known;
    const claim = this.#plan.claim('upstream', upstream);
    if (claim) this.#upstreams.set(upstream, claim);
    return claim;
  }
}
