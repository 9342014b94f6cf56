/** The admin port's view of the limits: who was refused most. Keys and addresses are hashes under a number of this process; those that the options name have their names. */
import type { LimitKey, LimitTable } from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import { hashKey } from '../policy/limit/key-hash.ts';
import type { LimitPlan } from '../policy/limit/limit-plan.ts';
import type { LimitScope } from '../policy/limit/limit-scopes.ts';
import { budgetKinds } from '../policy/limit/reservation.ts';
import { namedPrincipals } from './keyring.ts';

const TOP = 50;

export interface LimitedKey {
  readonly scope: LimitScope;
  /** 64 bits. */
  readonly key: string;
  /** What the options call it. */
  readonly name?: string;
  /** Since it got its place in the table; in shadow mode, what would have been refused. */
  readonly refusals: number;
  readonly remaining: number;
  readonly resetMs: number;
}

export interface LimitsView {
  readonly keys: number;
  readonly keysMax: number;
  /** Of those with a refusal, the most refused first. */
  readonly top: readonly LimitedKey[];
}

export function limitsView(
  { keys, upstreams }: Options,
  plan: LimitPlan,
  table: LimitTable,
): LimitsView {
  const names = new Map<string, string>();
  const name = (scope: LimitScope, text: string, said: string) =>
    void names.set(`${scope} ${digest(text, table.seed)}`, said);
  for (const { principal, name: said, tier } of namedPrincipals(keys)) {
    for (const scope of ['key', ...budgetKinds] as const)
      for (const text of plan.keysOf(principal, tier)) name(scope, text, said);
  }
  for (const upstream of upstreams) {
    name('upstream', upstream.name, upstream.name);
    for (const model of upstream.models) name('model', model, model);
  }
  const found: LimitedKey[] = [];
  table.each((key, refusals) => {
    const its = plan.limitOf(key.rule, key.tier);
    if (!its || refusals === 0) return;
    const { scope, limit, nowMs } = its;
    const hash = hex(key);
    const called = names.get(`${scope} ${hash}`);
    found.push({
      scope,
      key: hash,
      ...(called === undefined ? {} : { name: called }),
      refusals,
      remaining: limit.remaining(key, nowMs),
      resetMs: Math.ceil(limit.resetMs(key, nowMs)),
    });
  });
  found.sort((a, b) => b.refusals - a.refusals);
  return { keys: table.used(), keysMax: table.slots, top: found.slice(0, TOP) };
}

function digest(text: string, seed: number): string {
  const halves = { high: 0, low: 0 };
  hashKey(text, seed, halves);
  return hex(halves);
}

function hex({ high, low }: Pick<LimitKey, 'high' | 'low'>): string {
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
