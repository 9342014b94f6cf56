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
import { hashKey } from './key-hash.ts';
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
const KEY = keyedScopes.indexOf('key');
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
  /** Of each tier: those of its keys without room, for its limit and its budgets. */
  tiers: 2 + keyedScopes.length + 2 * budgetKinds.length,
} as const;
/** As many as the options allow (options/groups/limits.ts). */
const TIERS_MAX = 16;
const TIER_ROWS = 1 + budgetKinds.length;
export const LIMIT_ROWS = Row.tiers + TIERS_MAX * TIER_ROWS;
/** Both words of a limit, and those of the other parity. */
const PARITY_WORDS = 2;
/** The tier of keys that have none. */
const NO_TIER = 0;

/** Words without a key. */
interface RowLimit {
  readonly algorithm: Algorithm;
  /** -1: it counts requests. */
  readonly budget: number;
}

export class LimitPlan {
  readonly options: LimitOptions;
  /** All requests together. */
  readonly global: Claim | undefined;
  readonly #table: SharedLimits;
  readonly #clock: Clock;
  readonly #parity: number;
  /** By tier and rule. */
  readonly #limits = new Map<number, (KeyedLimit | undefined)[]>();
  readonly #rows = new Map<number, RowLimit>();
  #cursor: number;
  #nowMs = 0;

  /** Reads the epoch. `from`: the share of the table (0 to 1) where this thread's sweeps begin. */
  constructor(options: LimitOptions, table: SharedLimits, clock: Clock, from = 0) {
    this.#clock = clock;
    this.options = options;
    this.#table = table;
    this.#parity = table.load(table.row(Row.epoch)) & 1;
    this.#cursor = Math.floor(from * table.slots);
    const { global, tokens, tiers } = options;
    if (global) {
      const algorithm = algorithmOf(global);
      const at = this.#row(Row.global, algorithm);
      this.global = new WordClaim('global', waysOf(options, global), algorithm, table, at);
    }
    for (const [number, scope] of keyedScopes.entries())
      this.#add(NO_TIER, number, Row.crowds + number, options[optionOf[scope]]);
    for (const [number, kind] of budgetKinds.entries()) {
      const ofAll = budgetOf(kind, tokens.global);
      if (ofAll) this.#row(Row.budgets + number, ofAll, number);
    }
    this.#addBudgets(NO_TIER, Row.crowdBudgets, tokens.perKey);
    for (const [at, { name, perKey, tokens: own }] of tiers.entries()) {
      const first = Row.tiers + at * TIER_ROWS;
      this.#add(tierOf(name), KEY, first, perKey);
      this.#addBudgets(tierOf(name), first + 1, own);
    }
  }

  /** The limit of a scope; absent: there is none. */
  keyed(scope: KeyedScope): KeyedLimit | undefined {
    return this.#limit(NO_TIER, this.#ruleOf(keyedScopes.indexOf(scope)));
  }

  isShadow(scope: KeyedScope): boolean {
    return waysOf(this.options, this.options[optionOf[scope]]).shadow;
  }

  /** The limit of a scope for one key. `tier`: the name of the one it has, if any. */
  claim(scope: KeyedScope, key: string, tier?: string): Claim | undefined {
    const own = scope === 'key' ? this.#tier(tier)?.perKey : undefined;
    const ways = waysOf(this.options, own ?? this.options[optionOf[scope]]);
    return this.#claim(scope, this.#ruleOf(keyedScopes.indexOf(scope)), ways, key, own && tier);
  }

  /** The budgets that a stream of this principal meets, its own first. Their scopes are BudgetKinds. */
  budgets(principal: string, tier?: string): Claim[] {
    const { tokens } = this.options;
    const own = this.#tier(tier)?.tokens;
    const ways = waysOf(this.options, own ?? tokens.perKey);
    const ofKey = budgetKinds.map((kind) =>
      this.#claim(kind, this.#ruleOfBudget(kind), ways, principal, own && tier),
    );
    const waysOfAll = waysOf(this.options, tokens.global);
    const ofAll = budgetKinds.map((kind, number) => {
      const at = this.#at(Row.budgets + number, number);
      const limit = this.#rows.get(at);
      return limit && new WordClaim(kind, waysOfAll, limit.algorithm, this.#table, at);
    });
    return [...ofKey, ...ofAll].filter((claim) => claim !== undefined);
  }

  /** The texts by which the table knows a principal of this tier. */
  keysOf(principal: string, tier: string | undefined): readonly string[] {
    return tier === undefined ? [principal] : [principal, keyOf(principal, tier)];
  }

  /** What a dead worker had set aside. `tag`: see Words. */
  giveBack(at: number, tag: number, kind: number, amount: number): void {
    const table = this.#table;
    if (tag !== 0 && !table.holds({ rule: 0, tier: 0, high: 0, low: 0, at, tag })) return;
    const limit =
      tag === 0
        ? this.#rows.get(at)
        : this.#limit(table.tierAt(at), this.#ruleOfBudget(budgetKinds[kind]));
    limit?.algorithm.give(table, at, amount, this.#timeFor(kind, this.#clock.now()));
  }

  /** Whose a rule's number is, with the time of its clock; undefined: of limits that are no more. */
  limitOf(
    rule: number,
    tier = NO_TIER,
  ): { scope: LimitScope; limit: KeyedLimit; nowMs: number } | undefined {
    const limit = this.#limit(tier, rule);
    const number = (rule >> 1) - FIRST_BUDGET;
    const nowMs = this.#timeFor(number, this.#clock.now());
    const scope = number < 0 ? keyedScopes[rule >> 1] : budgetKinds[number];
    return limit && { scope, limit, nowMs };
  }

  /** May the slot of these words be another key's? */
  isIdle(rule: number, at: number, nowMs: number): boolean {
    const limit = this.#limit(this.#table.tierAt(at), rule);
    const time = this.#timeFor((rule >> 1) - FIRST_BUDGET, nowMs);
    return limit?.algorithm.isIdle(this.#table, at, time) ?? true;
  }

  /** Looks at the next share of the table, and at the words without a key: what is idle begins anew, before the clock's ticks have gone round. */
  sweep(share: number, nowMs: number): number {
    this.#nowMs = nowMs;
    const table = this.#table;
    for (const [at, { algorithm, budget }] of this.#rows)
      if (algorithm.isIdle(table, at, this.#timeFor(budget, nowMs))) clearLimit(table, at);
    if (table.used() === 0) return 0;
    const count = Math.ceil(table.slots * share);
    const freed = table.sweep(this.#cursor, count, this.#idle);
    this.#cursor = (this.#cursor + count) % table.slots;
    return freed;
  }

  /** For main, before anybody makes a plan of changed limits. */
  static renew(table: SharedLimits): void {
    const at = table.row(Row.epoch);
    const next = table.load(at) + 1;
    for (let row = Row.global; row < LIMIT_ROWS; row++) {
      // Those that are counted as they are, see above, go on.
      const kind = budgetKinds[budgetOfRow(row)];
      if (kind && parityOf(kind, 1) === 0) continue;
      clearLimit(table, table.row(row) + PARITY_WORDS * (next & 1));
    }
    table.compareAndSet(at, next - 1, next);
  }

  readonly #idle = (rule: number, at: number) => this.isIdle(rule, at, this.#nowMs);

  #tier(name: string | undefined): LimitOptions['tiers'][number] | undefined {
    return name === undefined ? undefined : this.options.tiers.find((tier) => tier.name === name);
  }

  #limit(tier: number, rule: number): KeyedLimit | undefined {
    return this.#limits.get(tier)?.[rule];
  }

  /** `tier`: where it has a limit of its own. */
  #claim(
    scope: LimitScope,
    rule: number,
    ways: Ways,
    key: string,
    tier: string | undefined,
  ): Claim | undefined {
    const limit = this.#limit(tier === undefined ? NO_TIER : tierOf(tier), rule);
    return limit && new KeyClaim(scope, ways, limit, keyOf(key, tier));
  }

  #addBudgets(tier: number, firstRow: number, said: LimitOptions['tokens']['perKey']): void {
    for (const [number, kind] of budgetKinds.entries()) {
      const algorithm = budgetOf(kind, said);
      if (!algorithm) continue;
      const crowd = this.#row(firstRow + number, algorithm, number);
      this.#keep(tier, this.#ruleOfBudget(kind), crowd, algorithm);
    }
  }

  #add(tier: number, number: number, row: number, said: Rule | undefined): void {
    if (!said) return;
    const algorithm = algorithmOf(said);
    this.#keep(tier, this.#ruleOf(number), this.#row(row, algorithm), algorithm);
  }

  #keep(tier: number, rule: number, crowd: number, algorithm: Algorithm): void {
    const limits = this.#limits.get(tier) ?? [];
    this.#limits.set(tier, limits);
    limits[rule] = new KeyedLimit({
      algorithm,
      slots: this.#table,
      rule,
      tier,
      crowd,
      whenFull: this.options.whenFull,
      // Not by the caller's time: of a day's budget that is another clock's.
      others: (other, at) => this.isIdle(other, at, this.#clock.now()),
    });
  }

  /** Where the words of a row lie, which this algorithm keeps from now on. */
  #row(row: number, algorithm: Algorithm, budget = -1): number {
    const at = this.#at(row, budget);
    this.#rows.set(at, { algorithm, budget });
    return at;
  }

  #at(row: number, budget: number): number {
    const kind = budgetKinds[budget];
    const parity = kind ? parityOf(kind, this.#parity) : this.#parity;
    return this.#table.row(row) + PARITY_WORDS * parity;
  }

  #ruleOf(number: number): number {
    return 2 * number + this.#parity;
  }

  #ruleOfBudget(kind: BudgetKind): number {
    return 2 * (FIRST_BUDGET + budgetKinds.indexOf(kind)) + parityOf(kind, this.#parity);
  }

  #timeFor(budget: number, nowMs: number): number {
    return budgetKinds[budget] === 'day_tokens' ? this.#clock.wall() : nowMs;
  }
}

/** A tier's number: by its name, so that what it counts outlives changes of the others. */
function tierOf(name: string): number {
  const halves = { high: 0, low: 0 };
  hashKey(name, 0, halves);
  return halves.low | 1;
}

/** Words of another tier's limit are never taken for these. */
function keyOf(key: string, tier: string | undefined): string {
  return tier === undefined ? key : `${tier}\n${key}`;
}

/** Which budget the words of a row count; -1: none. */
function budgetOfRow(row: number): number {
  if (row < Row.budgets) return -1;
  if (row < Row.tiers) return (row - Row.budgets) % budgetKinds.length;
  return ((row - Row.tiers) % TIER_ROWS) - 1;
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
