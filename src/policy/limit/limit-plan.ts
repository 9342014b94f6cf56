/**
 * The shared limits of one thread as one configuration says them: which there are, where their words lie in the table, and when a slot may go.
 *
 * Words of a rule mean nothing to another rule, so that changed limits begin anew: each change has the next epoch (a word that main writes), and by its parity rules have
 * other numbers and other words. What an older epoch has left counts as idle.
 */
import type { Options } from '../../options/schema.ts';
import { type Claim, KeyClaim, WordClaim } from './claim.ts';
import { clear, KeyedLimit, type LimitSlots } from './keyed-limit.ts';
import { createAlgorithm } from './limit-rule.ts';
import type { Algorithm } from './limit-words.ts';

export type LimitOptions = Options['limits'];
type Rule = NonNullable<LimitOptions['global']>;

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

const Row = { epoch: 0, global: 1, crowds: 2 } as const;
export const LIMIT_ROWS = Row.crowds + keyedScopes.length;
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
  #cursor: number;
  #nowMs = 0;

  /** Reads the epoch. `from`: the share of the table (0 to 1) where this thread's sweeps begin. */
  constructor(options: LimitOptions, table: SharedLimits, from = 0) {
    this.options = options;
    this.#table = table;
    this.#parity = table.load(table.row(Row.epoch)) & 1;
    this.#cursor = Math.floor(from * table.slots);
    if (options.global) {
      this.#globalAlgorithm = algorithmOf(options.global);
      const at = this.#at(Row.global);
      const shadow = isShadow(options, options.global);
      this.global = new WordClaim('global', shadow, this.#globalAlgorithm, table, at);
    }
    for (const [number, scope] of keyedScopes.entries()) {
      const rule = options[optionOf[scope]];
      if (rule) this.#keyed.set(scope, this.#limit(number, algorithmOf(rule)));
    }
  }

  /** The limit of a scope; absent: there is none. */
  keyed(scope: KeyedScope): KeyedLimit | undefined {
    return this.#keyed.get(scope);
  }

  isShadow(scope: KeyedScope): boolean {
    return isShadow(this.options, this.options[optionOf[scope]]);
  }

  /** The limit of a scope for one key. */
  claim(scope: KeyedScope, key: string): Claim | undefined {
    const limit = this.#keyed.get(scope);
    return limit && new KeyClaim(scope, this.isShadow(scope), limit, key);
  }

  /** Which scope a rule's number is of; absent: of limits that are no more. */
  scopeOf(rule: number): KeyedScope | undefined {
    return (rule & 1) === this.#parity ? keyedScopes[rule >> 1] : undefined;
  }

  /** May the slot of these words be another key's? */
  isIdle(rule: number, at: number, nowMs: number): boolean {
    return this.#byRule[rule]?.isIdle(this.#table, at, nowMs) ?? true;
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
      for (let word = 0; word < PARITY_WORDS; word++)
        clear(table, table.row(row) + PARITY_WORDS * (next & 1) + word);
    }
    table.compareAndSet(at, next - 1, next);
  }

  readonly #idle = (rule: number, at: number) => this.isIdle(rule, at, this.#nowMs);

  #limit(number: number, algorithm: Algorithm): KeyedLimit {
    const rule = 2 * number + this.#parity;
    this.#byRule[rule] = algorithm;
    return new KeyedLimit({
      algorithm,
      slots: this.#table,
      rule,
      crowd: this.#at(Row.crowds + number),
      whenFull: this.options.whenFull,
      others: (other, at, nowMs) => this.isIdle(other, at, nowMs),
    });
  }

  #at(row: number): number {
    return this.#table.row(row) + PARITY_WORDS * this.#parity;
  }

  #clear(row: number, parity: number): void {
    for (let word = 0; word < PARITY_WORDS; word++)
      clear(this.#table, this.#table.row(row) + PARITY_WORDS * parity + word);
  }
}

function isShadow(options: LimitOptions, rule: Rule | undefined): boolean {
  return options.shadow || (rule?.shadow ?? false);
}

/** Throws MILLRACE_LIMIT_INVALID for a rule that the words cannot hold. */
export function algorithmOf({ algorithm: strategy, ...rule }: Rule): Algorithm {
  return createAlgorithm({ strategy, ...rule });
}
