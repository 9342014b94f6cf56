/**
 * The shared limits of one thread as one configuration says them: which there are, where their words lie in the table, and when a slot may go.
 *
 * Words of a rule mean nothing to another rule, so that changed limits begin anew: each change has the next epoch (a word that main writes), and by its parity rules have
 * other numbers and other words. What an older epoch has left counts as idle. Not so what is counted as it is, without a rate: running streams, and the tokens of a day.
 */
import type { Options } from '../../options/schema.ts';
import type { Clock } from '../ports.ts';
import { type Claim, KeyClaim, type Ways, WordClaim } from './claim.ts';
import { DayQuota } from './day-quota.ts';
import { clearLimit, KeyedLimit, type LimitSlots } from './keyed-limit.ts';
import { createAlgorithm } from './limit-rule.ts';
import type { LimitScope } from './limit-scopes.ts';
import type { Algorithm } from './limit-words.ts';
import { MinuteBudget } from './minute-budget.ts';
import { type BudgetKind, budgetKinds } from './reservation.ts';
import { RunningCount } from './running-count.ts';

export type LimitOptions = Options['limits'];
type Rule = NonNullable<LimitOptions['perSession']>;

/** The table, with the rows of limits that have no key. */
export interface SharedLimits extends LimitSlots {
  row(index: number): number;
}

/** Scopes whose limits are by key, in the order of their rules' numbers: each has two, and a row for keys without room. */
const keyedScopes = ['key', 'address', 'model', 'upstream'] as const;
export type KeyedScope = (typeof keyedScopes)[number];
const optionOf = {
  key: 'perKey',
  address: 'perAddress',
  model: 'perModel',
  upstream: 'perUpstream',
} as const satisfies Record<KeyedScope, keyof LimitOptions>;

/** Budgets: a number, a row for all together, and one for keys without room, of each. */
const FIRST_BUDGET = keyedScopes.length;
const Row = {
  epoch: 0,
  global: 1,
  crowds: 2,
  budgets: 2 + keyedScopes.length,
  crowdBudgets: 2 + keyedScopes.length + budgetKinds.length,
} as const;
export const LIMIT_ROWS = Row.crowdBudgets + budgetKinds.length;
/** Both words of a limit, and those of the other parity. */
const PARITY_WORDS = 2;

export class LimitPlan {
  readonly options: LimitOptions;
  /** All requests together. */
  readonly global: Claim | undefined;
  readonly #table: SharedLimits;
  readonly #parity: number;
  readonly #keyed = new Map<KeyedScope, KeyedLimit>();
  readonly #byRule: (Algorithm | undefined)[] = [];
  readonly #globalAlgorithm: Algorithm | undefined;
  readonly #budgets = new Map<BudgetKind, { ofKey?: KeyedLimit; ofAll?: Algorithm }>();
  readonly #clock: Clock;
  #cursor: number;
  #nowMs = 0;

  /** Reads the epoch. `from`: the share of the table (0 to 1) where this thread's sweeps begin. */
  constructor(options: LimitOptions, table: SharedLimits, clock: Clock, from = 0) {
    this.#clock = clock;
    this.options = options;
    this.#table = table;
    this.#parity = table.load(table.row(Row.epoch)) & 1;
    this.#cursor = Math.floor(from * table.slots);
    if (options.global) {
      this.#globalAlgorithm = algorithmOf(options.global);
      const at = this.#at(Row.global);
      const ways = waysOf(options, options.global);
      this.global = new WordClaim('global', ways, this.#globalAlgorithm, table, at);
    }
    for (const [number, scope] of keyedScopes.entries()) {
      const rule = options[optionOf[scope]];
      const crowd = this.#at(Row.crowds + number);
      if (rule) this.#keyed.set(scope, this.#limit(number, this.#parity, crowd, algorithmOf(rule)));
    }
    for (const [number, kind] of budgetKinds.entries()) this.#addBudget(number, kind);
  }

  /** The budgets that a stream of this principal meets, its own first. Their scopes are BudgetKinds. */
  budgets(principal: string): Claim[] {
    const { tokens } = this.options;
    const claims: Claim[] = [];
    for (const [kind, { ofKey }] of this.#budgets) {
      if (!ofKey) continue;
      claims.push(new KeyClaim(kind, waysOf(this.options, tokens.perKey), ofKey, principal));
    }
    for (const [number, kind] of budgetKinds.entries()) {
      const ofAll = this.#budgets.get(kind)?.ofAll;
      if (!ofAll) continue;
      const ways = waysOf(this.options, tokens.global);
      claims.push(new WordClaim(kind, ways, ofAll, this.#table, this.#atBudget(number)));
    }
    return claims;
  }

  /** What a dead worker had set aside. `tag`: see Words. */
  giveBack(at: number, tag: number, kind: number, amount: number): void {
    const { ofKey, ofAll } = this.#budgets.get(budgetKinds[kind]) ?? {};
    const algorithm = ofKey?.algorithm ?? ofAll;
    if (tag !== 0 && !this.#table.holds({ rule: 0, high: 0, low: 0, at, tag })) return;
    algorithm?.give(this.#table, at, amount, this.#timeFor(kind, this.#clock.now()));
  }

  /** The limit of a scope; absent: there is none. */
  keyed(scope: KeyedScope): KeyedLimit | undefined {
    return this.#keyed.get(scope);
  }

  isShadow(scope: KeyedScope): boolean {
    return waysOf(this.options, this.options[optionOf[scope]]).shadow;
  }

  /** The limit of a scope for one key. */
  claim(scope: KeyedScope, key: string): Claim | undefined {
    const limit = this.#keyed.get(scope);
    const ways = waysOf(this.options, this.options[optionOf[scope]]);
    return limit && new KeyClaim(scope, ways, limit, key);
  }

  /** Whose a rule's number is, with the time of its clock; undefined: of limits that are no more. */
  limitOf(rule: number): { scope: LimitScope; limit: KeyedLimit; nowMs: number } | undefined {
    if (!this.#byRule[rule]) return undefined;
    const number = (rule >> 1) - FIRST_BUDGET;
    const nowMs = this.#timeFor(number, this.#clock.now());
    const scope = number < 0 ? keyedScopes[rule >> 1] : budgetKinds[number];
    const limit =
      number < 0
        ? this.#keyed.get(keyedScopes[rule >> 1])
        : this.#budgets.get(budgetKinds[number])?.ofKey;
    return limit && { scope, limit, nowMs };
  }

  /** May the slot of these words be another key's? */
  isIdle(rule: number, at: number, nowMs: number): boolean {
    const time = this.#timeFor((rule >> 1) - FIRST_BUDGET, nowMs);
    return this.#byRule[rule]?.isIdle(this.#table, at, time) ?? true;
  }

  /** Looks at the next share of the table, and at the words without a key: what is idle begins anew, before the clock's ticks have gone round. */
  sweep(share: number, nowMs: number): number {
    this.#nowMs = nowMs;
    const { slots } = this.#table;
    if (this.#globalAlgorithm?.isIdle(this.#table, this.#at(Row.global), nowMs))
      this.#clear(Row.global, this.#parity);
    for (const [scope, { algorithm }] of this.#keyed) {
      const row = Row.crowds + keyedScopes.indexOf(scope);
      if (algorithm.isIdle(this.#table, this.#at(row), nowMs)) this.#clear(row, this.#parity);
    }
    for (const [number, kind] of budgetKinds.entries()) {
      const ofAll = this.#budgets.get(kind)?.ofAll;
      const time = this.#timeFor(number, nowMs);
      if (ofAll?.isIdle(this.#table, this.#atBudget(number), time))
        this.#clear(Row.budgets + number, parityOf(kind, this.#parity));
    }
    if (this.#table.used() === 0) return 0;
    const count = Math.ceil(slots * share);
    const freed = this.#table.sweep(this.#cursor, count, this.#idle);
    this.#cursor = (this.#cursor + count) % slots;
    return freed;
  }

  /** For main, before anybody makes a plan of changed limits. */
  static renew(table: SharedLimits): void {
    const at = table.row(Row.epoch);
    const next = table.load(at) + 1;
    for (let row = Row.global; row < LIMIT_ROWS; row++) {
      const kind = budgetKinds[(row - Row.budgets) % budgetKinds.length];
      // Those that are counted as they are, see above, go on.
      if (row >= Row.budgets && parityOf(kind, 1) === 0) continue;
      clearLimit(table, table.row(row) + PARITY_WORDS * (next & 1));
    }
    table.compareAndSet(at, next - 1, next);
  }

  readonly #idle = (rule: number, at: number) => this.isIdle(rule, at, this.#nowMs);

  #addBudget(number: number, kind: BudgetKind): void {
    const { tokens } = this.options;
    const [ofKey, ofAll] = [tokens.perKey, tokens.global].map((each) => budgetOf(kind, each));
    if (!ofKey && !ofAll) return;
    const parity = parityOf(kind, this.#parity);
    const crowd = this.#table.row(Row.crowdBudgets + number) + PARITY_WORDS * parity;
    this.#budgets.set(kind, {
      ...(ofKey && { ofKey: this.#limit(FIRST_BUDGET + number, parity, crowd, ofKey) }),
      ...(ofAll && { ofAll }),
    });
  }

  #atBudget(number: number): number {
    const parity = parityOf(budgetKinds[number], this.#parity);
    return this.#table.row(Row.budgets + number) + PARITY_WORDS * parity;
  }

  #timeFor(budget: number, nowMs: number): number {
    return budgetKinds[budget] === 'day_tokens' ? this.#clock.wall() : nowMs;
  }

  #limit(number: number, parity: number, crowd: number, algorithm: Algorithm): KeyedLimit {
    const rule = 2 * number + parity;
    this.#byRule[rule] = algorithm;
    return new KeyedLimit({
      algorithm,
      slots: this.#table,
      rule,
      crowd,
      whenFull: this.options.whenFull,
      // Not by the caller's time: of a day's budget that is another clock's.
      others: (other, at) => this.isIdle(other, at, this.#clock.now()),
    });
  }

  #at(row: number): number {
    return this.#table.row(row) + PARITY_WORDS * this.#parity;
  }

  #clear(row: number, parity: number): void {
    clearLimit(this.#table, this.#table.row(row) + PARITY_WORDS * parity);
  }
}

/** Running streams and the tokens of a day outlive changed limits. */
function parityOf(kind: BudgetKind, parity: number): number {
  return kind === 'streams' || kind === 'day_tokens' ? 0 : parity;
}

function budgetOf(kind: BudgetKind, said: LimitOptions['tokens']['perKey']): Algorithm | undefined {
  const { inputTokensPerMinute, outputTokensPerMinute, tokensPerDay, streamsMax } = said ?? {};
  const most = {
    input_tokens: inputTokensPerMinute,
    output_tokens: outputTokensPerMinute,
    day_tokens: tokensPerDay,
    streams: streamsMax,
  }[kind];
  if (most === undefined) return undefined;
  if (kind === 'streams') return new RunningCount(most);
  return kind === 'day_tokens' ? new DayQuota(most) : new MinuteBudget(most);
}

function waysOf(options: LimitOptions, rule: Partial<Ways> | undefined): Ways {
  const { shadow = false, paced = false } = rule ?? {};
  return { shadow: options.shadow || shadow, paced };
}

/** Throws MILLRACE_LIMIT_INVALID for a rule that the words cannot hold. */
export function algorithmOf({ algorithm: strategy, ...rule }: Rule): Algorithm {
  return createAlgorithm({ strategy, ...rule });
}
