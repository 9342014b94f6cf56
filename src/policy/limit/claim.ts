/** One limit with whoever it limits, ready to be asked; and several of them, of which a request takes all or none. */
import type { KeyedLimit, Subject } from './keyed-limit.ts';
import type { LimitScope, LimitVerdictName } from './limit-scopes.ts';
import type { Algorithm, LimitWords } from './limit-words.ts';

export interface Claim {
  readonly scope: LimitScope;
  /** It counts what it would refuse. */
  readonly shadow: boolean;
  /** The most that is admitted at once. */
  readonly capacity: number;
  take(cost: number, nowMs: number): boolean;
  /** Also what is not there. */
  charge(cost: number, nowMs: number): void;
  give(cost: number, nowMs: number): void;
  /** Where its words lie now; undefined: nothing is counted for it. */
  locate(nowMs: number): Words | undefined;
  waitMs(cost: number, nowMs: number): number;
  remaining(nowMs: number): number;
  resetMs(nowMs: number): number;
}

/** Words of a limit. */
export interface Words {
  readonly at: number;
  /** Of the slot they lie in; 0: they are nobody else's. */
  readonly tag: number;
}

/** Of one key. */
export class KeyClaim implements Claim {
  readonly scope: LimitScope;
  readonly shadow: boolean;
  readonly #limit: KeyedLimit;
  readonly #subject: Subject;

  constructor(scope: LimitScope, shadow: boolean, limit: KeyedLimit, key: string) {
    this.scope = scope;
    this.shadow = shadow;
    this.#limit = limit;
    this.#subject = limit.subject(key);
  }

  get capacity(): number {
    return this.#limit.algorithm.capacity;
  }
  take(cost: number, nowMs: number): boolean {
    return this.#limit.take(this.#subject, cost, nowMs);
  }
  charge(cost: number, nowMs: number): void {
    this.#limit.charge(this.#subject, cost, nowMs);
  }
  locate(nowMs: number): Words | undefined {
    return this.#limit.locate(this.#subject, nowMs);
  }
  give(cost: number, nowMs: number): void {
    this.#limit.give(this.#subject, cost, nowMs);
  }
  waitMs(cost: number, nowMs: number): number {
    return this.#limit.waitMs(this.#subject, cost, nowMs);
  }
  remaining(nowMs: number): number {
    return this.#limit.remaining(this.#subject, nowMs);
  }
  resetMs(nowMs: number): number {
    return this.#limit.resetMs(this.#subject, nowMs);
  }
}

/** Without a key: words of its own. */
export class WordClaim implements Claim {
  readonly scope: LimitScope;
  readonly shadow: boolean;
  readonly #algorithm: Algorithm;
  readonly #words: LimitWords;
  readonly #at: number;

  constructor(
    scope: LimitScope,
    shadow: boolean,
    algorithm: Algorithm,
    words: LimitWords,
    at: number,
  ) {
    this.scope = scope;
    this.shadow = shadow;
    this.#algorithm = algorithm;
    this.#words = words;
    this.#at = at;
  }

  get capacity(): number {
    return this.#algorithm.capacity;
  }
  take(cost: number, nowMs: number): boolean {
    return this.#algorithm.take(this.#words, this.#at, cost, nowMs);
  }
  charge(cost: number, nowMs: number): void {
    this.#algorithm.charge(this.#words, this.#at, cost, nowMs);
  }
  locate(): Words {
    return { at: this.#at, tag: 0 };
  }
  give(cost: number, nowMs: number): void {
    this.#algorithm.give(this.#words, this.#at, cost, nowMs);
  }
  waitMs(cost: number, nowMs: number): number {
    return this.#algorithm.waitMs(this.#words, this.#at, cost, nowMs);
  }
  remaining(nowMs: number): number {
    return this.#algorithm.remaining(this.#words, this.#at, nowMs);
  }
  resetMs(nowMs: number): number {
    return this.#algorithm.resetMs(this.#words, this.#at, nowMs);
  }
}

export type Told = (scope: LimitScope, verdict: LimitVerdictName) => void;

/**
 * Takes the cost from all of them, in their order, or from none: what was taken before a refusal goes back. A shadow neither refuses nor is charged for what it would
 * have refused. Returns the one that refused.
 */
export function takeAll(
  claims: readonly Claim[],
  cost: number,
  nowMs: number,
  told: Told,
): Claim | undefined {
  let taken = 0;
  for (const [at, claim] of claims.entries()) {
    if (claim.take(cost, nowMs)) {
      taken |= 1 << at;
    } else if (!claim.shadow) {
      told(claim.scope, 'refused');
      for (let back = 0; back < at; back++) {
        if ((taken >> back) & 1) claims[back].give(cost, nowMs);
      }
      return claim;
    }
  }
  for (const [at, { scope }] of claims.entries())
    told(scope, (taken >> at) & 1 ? 'allowed' : 'shadowed');
  return undefined;
}

/** What to tell a client of what it has left: of the limit that leaves least. Undefined: nothing limits it. */
export interface Budget {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

export function budgetOf(claims: readonly Claim[], nowMs: number): Budget | undefined {
  let least: Budget | undefined;
  for (const claim of claims) {
    if (claim.shadow) continue;
    const remaining = claim.remaining(nowMs);
    if (least && least.remaining <= remaining) continue;
    least = { limit: claim.capacity, remaining, resetMs: claim.resetMs(nowMs) };
  }
  return least;
}
