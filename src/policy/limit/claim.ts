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
  /** Takes the cost and says when its turn comes, in milliseconds from now; -1: it takes nothing. */
  take(cost: number, nowMs: number): number;
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

/** How a claim's limit is kept. */
export interface Ways {
  /** It counts what it would refuse. */
  readonly shadow: boolean;
  /** What comes too soon waits for its turn; the algorithm must be one that paces. */
  readonly paced: boolean;
}

const atOnce = (taken: boolean): number => (taken ? 0 : -1);

/** Of one key. */
export class KeyClaim implements Claim {
  readonly scope: LimitScope;
  readonly shadow: boolean;
  readonly #paced: boolean;
  readonly #limit: KeyedLimit;
  readonly #subject: Subject;

  constructor(scope: LimitScope, { shadow, paced }: Ways, limit: KeyedLimit, key: string) {
    this.scope = scope;
    this.shadow = shadow;
    this.#paced = paced;
    this.#limit = limit;
    this.#subject = limit.subject(key);
  }

  get capacity(): number {
    return this.#limit.algorithm.capacity;
  }
  take(cost: number, nowMs: number): number {
    if (this.#paced) return this.#limit.pace(this.#subject, cost, nowMs);
    return atOnce(this.#limit.take(this.#subject, cost, nowMs));
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
  readonly #paced: boolean;
  readonly #algorithm: Algorithm;
  readonly #words: LimitWords;
  readonly #at: number;

  constructor(
    scope: LimitScope,
    { shadow, paced }: Ways,
    algorithm: Algorithm,
    words: LimitWords,
    at: number,
  ) {
    this.scope = scope;
    this.shadow = shadow;
    this.#paced = paced;
    this.#algorithm = algorithm;
    this.#words = words;
    this.#at = at;
  }

  get capacity(): number {
    return this.#algorithm.capacity;
  }
  take(cost: number, nowMs: number): number {
    if (this.#paced) return this.#algorithm.pace?.(this.#words, this.#at, cost, nowMs) ?? -1;
    return atOnce(this.#algorithm.take(this.#words, this.#at, cost, nowMs));
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
 * have refused, and nobody waits for it. Returns the one that refused, or how many milliseconds from now the last of their turns comes.
 */
export function takeAll(
  claims: readonly Claim[],
  cost: number,
  nowMs: number,
  told: Told,
): Claim | number {
  const waits: number[] = [];
  for (const claim of claims) {
    const waitMs = claim.take(cost, nowMs);
    if (waitMs < 0 && !claim.shadow) {
      told(claim.scope, 'refused');
      for (const [at, each] of waits.entries()) if (each >= 0) claims[at].give(cost, nowMs);
      return claim;
    }
    waits.push(waitMs);
  }
  let lastMs = 0;
  for (const [at, { scope, shadow }] of claims.entries()) {
    const waitMs = waits[at];
    if (waitMs === 0) told(scope, 'allowed');
    else told(scope, shadow ? 'shadowed' : 'paced');
    if (!shadow) lastMs = Math.max(lastMs, waitMs);
  }
  return lastMs;
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
