/** The bookkeeping of remembered turns against a model that counts everything anew after every step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { History, type PastTurn } from '../../../../../src/protocol/dialects/responses/history.ts';
import { seeded } from '../../../../support/seed.ts';

const BYTES_MAX = 4_000;
/** Counted for a turn of one message with one part beside its text. */
const OVERHEAD = 512;
const LANES = ['', 'a', 'b'];

interface Step {
  readonly lane: number;
  /** Which of the known turns is continued; beyond them: none. */
  readonly before: number;
  readonly bytes: number;
  readonly store: boolean;
  readonly evict: boolean;
}

const steps = fc.array(
  fc.record<Step>({
    lane: fc.nat(LANES.length - 1),
    before: fc.nat(6),
    bytes: fc.nat(1_500),
    store: fc.boolean(),
    evict: fc.boolean(),
  }),
  { maxLength: 40 },
);

/** What the findable turns reach, each once. */
function reachable(found: readonly PastTurn[]): number {
  const seen = new Set<PastTurn>();
  for (const turn of found)
    for (let at: PastTurn | undefined = turn; at !== undefined; at = at.before) seen.add(at);
  return [...seen].reduce((sum, turn) => sum + turn.bytes, 0);
}

test('held bytes are those of the turns that can be reached, after every step', () => {
  const { seed } = seeded('history');
  fc.assert(
    fc.property(steps, (all) => {
      const history = new History(BYTES_MAX);
      const ids: string[] = [];
      const found = () => ids.flatMap((id) => history.find(id) ?? []);
      all.forEach((step, number) => {
        const known = found();
        const before = known.at(-1 - step.before);
        if (step.evict && before !== undefined) {
          history.evict(before);
          assert.equal(history.find(before.id) !== undefined, before.store);
        } else {
          const id = `r${number}`;
          ids.push(id);
          const messages = [
            {
              role: 'user' as const,
              content: [{ type: 'text' as const, text: 'x'.repeat(step.bytes) }],
            },
          ];
          history.remember(LANES[step.lane], { id, before, messages, store: step.store });
          const kept = history.find(id);
          if (kept) assert.equal(History.messages(kept).at(-1), messages[0]);
          else assert.ok(step.bytes + (before?.chainBytes ?? 0) > BYTES_MAX - OVERHEAD);
        }
        assert.equal(history.heldBytes, reachable(found()));
        assert.ok(history.heldBytes <= BYTES_MAX * LANES.length);
        for (const turn of found()) assert.ok(turn.chainBytes <= BYTES_MAX);
      });
    }),
    { seed, numRuns: process.env['SLOW'] ? 20_000 : 500 },
  );
});
