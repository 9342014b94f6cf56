/** Goal: a plan finds each limit's words, whatever tiers there are, and gives back to the words it took from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateLimitTable, openLimitTable } from '../../../../src/memory/limit-table.ts';
import { schema, type UserOptions } from '../../../../src/options/schema.ts';
import type { Claim } from '../../../../src/policy/limit/claim.ts';
import { LIMIT_ROWS, LimitPlan } from '../../../../src/policy/limit/limit-plan.ts';
import { type BudgetKind, budgetKinds } from '../../../../src/policy/limit/reservation.ts';

const DAY = 86_400_000;

function world(slots = 64) {
  const table = openLimitTable(allocateLimitTable(slots, LIMIT_ROWS, 7));
  const time = { nowMs: 5_000 };
  const clock = { now: () => time.nowMs, wall: () => 20 * DAY + time.nowMs };
  const plan = (limits: NonNullable<UserOptions['limits']>) =>
    new LimitPlan(schema.parse({ limits }).limits, table, clock);
  return { table, time, clock, plan };
}

const budgetOf = (claims: readonly Claim[], kind: BudgetKind, which = 0): Claim => {
  const found = claims.filter(({ scope }) => scope === kind)[which];
  assert.ok(found, `a budget of ${kind}`);
  return found;
};

const gold = { streamsMax: 5, tokensPerDay: 1_000, outputTokensPerMinute: 600 };
const silver = { streamsMax: 3, tokensPerDay: 500, outputTokensPerMinute: 60 };

test('running answers and the tokens of a day stay their tier’s when others come and go', () => {
  const { plan, table, clock } = world();
  const before = plan({
    tiers: [
      { name: 'gold', tokens: gold },
      { name: 'silver', tokens: silver },
    ],
  });
  const claims = before.budgets('me', 'silver');
  assert.ok(budgetOf(claims, 'streams').take(2, clock.now()) >= 0);
  assert.ok(budgetOf(claims, 'day_tokens').take(100, clock.wall()) >= 0);
  LimitPlan.renew(table);
  const after = plan({ tiers: [{ name: 'silver', tokens: silver }] });
  after.sweep(1, clock.now());
  const now = after.budgets('me', 'silver');
  for (const claim of now) claim.locate(clock.now());
  assert.equal(budgetOf(now, 'streams').remaining(clock.now()), 1);
  assert.equal(budgetOf(now, 'day_tokens').remaining(clock.wall()), 400);
});

test('as many tiers as the options allow have rows', () => {
  const { plan, clock } = world();
  const tiers = Array.from({ length: 16 }, (_, n) => ({ name: `tier-${n}`, tokens: gold }));
  const limits = plan({ tiers });
  for (const { name } of tiers)
    assert.ok(budgetOf(limits.budgets('me', name), 'streams').take(5, clock.now()) >= 0, name);
  assert.throws(() => plan({ tiers: [...tiers, { name: 'one more' }] }));
});

test('what a dead worker had set aside goes back to the budget it came from: of a key, of a tier, of all, of those without room', () => {
  for (const tier of [undefined, 'gold']) {
    for (const crowded of [false, true]) {
      const { plan, time, clock } = world(16);
      const all = { outputTokensPerMinute: 6_000, streamsMax: 9, tokensPerDay: 9_000 };
      const limits = plan({
        tokens: { global: all, perKey: { ...silver, inputTokensPerMinute: 77 } },
        tiers: [{ name: 'gold', tokens: gold }],
      });
      const timeFor = (kind: string) => (kind === 'day_tokens' ? clock.wall() : clock.now());
      const claims = limits.budgets(crowded ? 'late' : 'early', tier);
      // The table is full of others' keys that are busy.
      for (let n = crowded ? 0 : 40; n < 40; n++) {
        const other = budgetOf(limits.budgets(`other ${n}`), 'streams');
        if (other.locate(clock.now())?.tag !== 0) other.take(1, clock.now());
      }
      time.nowMs += 3_000;
      for (const [at, claim] of claims.entries()) {
        const nowMs = timeFor(claim.scope);
        const words = claim.locate(nowMs);
        assert.ok(words);
        const isOfKey = at < claims.length - 3;
        assert.equal(words.tag !== 0, isOfKey && !crowded, `${claim.scope} has a place`);
        const had = claim.resetMs(nowMs);
        assert.ok(claim.take(2, nowMs) >= 0, claim.scope);
        const kind = budgetKinds.indexOf(claim.scope as BudgetKind);
        limits.giveBack(words.at, words.tag, kind, 2);
        assert.equal(claim.resetMs(nowMs), had, `${claim.scope} ${tier} ${crowded}`);
      }
    }
  }
});
