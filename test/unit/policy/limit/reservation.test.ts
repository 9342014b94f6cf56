/**
 * Goal: what is set aside is used, given back or charged, exactly once, in any order of streams that share budgets, and also when their worker dies. Method: random runs over real
 * words and the real book, against sums kept beside.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  allocateReservationBook,
  openReservationBook,
} from '../../../../src/memory/reservation-book.ts';
import { type Claim, WordClaim } from '../../../../src/policy/limit/claim.ts';
import { DayQuota } from '../../../../src/policy/limit/day-quota.ts';
import { PlainWords } from '../../../../src/policy/limit/limit-words.ts';
import { MinuteBudget } from '../../../../src/policy/limit/minute-budget.ts';
import {
  budgetKinds,
  Reservation,
  type ReservationParts,
} from '../../../../src/policy/limit/reservation.ts';
import { RunningCount } from '../../../../src/policy/limit/running-count.ts';
import { entriesOf } from '../../../../src/worker/budgets.ts';
import { seeded } from '../../../support/seed.ts';

const runs = process.env['SLOW'] ? 10_000 : 300;
const { seed } = seeded('reservations');
const ENTRIES = 64;
const DAY = 86_400_000;

/** One step of the world: which stream, and what becomes of it. */
const steps = fc.array(
  fc.record({
    stream: fc.nat(5),
    what: fc.constantFrom('begin', 'spend', 'spend', 'spend', 'report', 'settle', 'free', 'die'),
    n: fc.integer({ min: 1, max: 400 }),
  }),
  { minLength: 30, maxLength: 120, size: 'max' },
);

interface Running {
  readonly reservation: Reservation;
  readonly worker: number;
  readonly input: number;
  isOver: boolean;
}

function world(perMinute: number, perDay: number, streamsMax: number) {
  const words = new PlainWords(8);
  const algorithms = {
    input_tokens: new MinuteBudget(perMinute * 10),
    output_tokens: new MinuteBudget(perMinute),
    day_tokens: new DayQuota(perDay),
    streams: new RunningCount(streamsMax),
  };
  const claims: Claim[] = budgetKinds.map(
    (kind, at) =>
      new WordClaim(kind, { shadow: false, paced: false }, algorithms[kind], words, 2 * at),
  );
  const shared = allocateReservationBook(2, ENTRIES);
  const book = openReservationBook(shared, undefined, ENTRIES);
  const generations = [1, 2];
  let newest = 2;
  const parts = (worker: number): ReservationParts => ({
    claims,
    book: entriesOf(book, worker, generations[worker]),
    told: () => {},
    weights: { cached: 1, reasoning: 1 },
    now: () => 1_000,
    wall: () => 5 * DAY + 1_000,
  });
  const die = (worker: number) => {
    const given: number[] = [];
    book.reclaim(worker, generations[worker], (at, _, kind, amount) => {
      given.push(at);
      algorithms[budgetKinds[kind]].give(words, at, amount, kind === 2 ? 5 * DAY + 1_000 : 1_000);
    });
    generations[worker] = ++newest;
    return given.length;
  };
  const used = {
    output: () => perMinute - algorithms.output_tokens.remaining(words, 2, 1_000),
    day: () => perDay - algorithms.day_tokens.remaining(words, 4, 5 * DAY + 1_000),
    streams: () => streamsMax - algorithms.streams.remaining(words, 6),
  };
  return { parts, die, book, used };
}

test('every token and every place is accounted for: given back, used or owed, once, through deaths too', () => {
  const seen = { begun: 0, refused: 0, over: 0, died: 0 };
  fc.assert(
    fc.property(steps, fc.integer({ min: 1_700, max: 4_000 }), (all, perMinute) => {
      const w = world(perMinute, 20_000, 4);
      const running = new Map<number, Running>();
      let [output, day] = [0, 0];
      const settle = (
        stream: number,
        usage: { outputTokens: number } | undefined,
        free = false,
      ) => {
        const each = running.get(stream);
        if (!each) return;
        running.delete(stream);
        const said = usage && { inputTokens: each.input, ...usage };
        each.reservation.settle(said, free);
        each.reservation.settle(said, free);
        if (free) return;
        const more = usage?.outputTokens ?? each.reservation.used;
        output += more;
        day += each.input + more;
      };
      for (const { stream, what, n } of all) {
        const each = running.get(stream);
        if (what === 'begin' && !each) {
          const worker = stream % 2;
          const before = [w.used.output(), w.used.day(), w.used.streams()];
          const taken = Reservation.take(w.parts(worker), { input: n, output: n });
          if ('reservation' in taken) {
            seen.begun++;
            running.set(stream, {
              reservation: taken.reservation,
              worker,
              input: n,
              isOver: false,
            });
          } else {
            seen.refused++;
            assert.deepEqual(
              [w.used.output(), w.used.day(), w.used.streams()],
              before,
              'none of them',
            );
          }
        } else if (what === 'spend' && each && !each.isOver) {
          each.isOver = !each.reservation.spend(n);
          if (each.isOver) seen.over++;
        } else if (what === 'report' && each && !each.isOver) {
          each.isOver = !each.reservation.report(each.reservation.used + (n % 9));
        } else if (what === 'settle') settle(stream, n % 2 ? { outputTokens: n } : undefined);
        else if (what === 'free' && each?.reservation.used === 0) settle(stream, undefined, true);
        else if (what === 'die') {
          const worker = stream % 2;
          w.die(worker);
          seen.died++;
          for (const [at, lost] of running) {
            if (lost.worker !== worker) continue;
            running.delete(at);
            const { used } = lost.reservation;
            output += used;
            // Its input was paid for with the first word that came.
            day += used > 0 ? lost.input + used : 0;
            // A worker that was given up for dead and comes back changes nothing any more.
            lost.reservation.settle({ inputTokens: 1, outputTokens: 1 });
          }
        }
        assert.equal(w.used.streams(), running.size, 'running');
      }
      for (const stream of running.keys()) settle(stream, undefined);
      assert.equal(w.used.streams(), 0);
      assert.equal(w.used.output(), Math.min(output, perMinute), 'output');
      assert.equal(w.used.day(), Math.min(day, 20_000), 'of the day');
      assert.deepEqual([w.book.held(0), w.book.held(1)], [0, 0]);
    }),
    { seed, numRuns: runs },
  );
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `no run met ${what}`);
});

test('while answers run, nobody gets beyond the budget by more than its last delta', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 50 })), { maxLength: 200 }),
      fc.integer({ min: 50, max: 500 }),
      (deltas, perMinute) => {
        const w = world(perMinute, 1_000_000, 10);
        const streams = [0, 1, 2, 3].flatMap((worker) => {
          const taken = Reservation.take(w.parts(worker % 2), { input: 1, output: 10 });
          return 'reservation' in taken
            ? [{ reservation: taken.reservation, last: 0, isOver: false }]
            : [];
        });
        for (const [at, tokens] of deltas) {
          const each = streams[at];
          if (!each || each.isOver) continue;
          each.isOver = !each.reservation.spend(tokens);
          each.last = tokens;
        }
        const all = streams.reduce((sum, { reservation }) => sum + reservation.used, 0);
        const beyond = streams.reduce((sum, { isOver, last }) => sum + (isOver ? last : 0), 0);
        assert.ok(all <= perMinute + beyond, `${all} of ${perMinute}, deltas of ${beyond}`);
      },
    ),
    { seed, numRuns: runs },
  );
});

test('a book that is full refuses, and keeps nothing of what was refused', () => {
  const w = world(1_000_000, 1_000_000, 1_000);
  const taken: Reservation[] = [];
  for (;;) {
    const next = Reservation.take(w.parts(0), { input: 1, output: 1 });
    if (!('reservation' in next)) break;
    taken.push(next.reservation);
  }
  assert.equal(taken.length, ENTRIES / 4);
  assert.equal(w.used.streams(), taken.length);
  taken[0].settle(undefined);
  assert.ok('reservation' in Reservation.take(w.parts(0), { input: 1, output: 1 }));
});

test('a day ends at midnight, large quotas are counted in units, and clocks a little apart agree', () => {
  const quota = new DayQuota(10);
  const words = new PlainWords(1);
  assert.ok(quota.take(words, 0, 10, DAY - 5));
  assert.equal(quota.take(words, 0, 1, DAY - 5), false);
  assert.equal(quota.waitMs(words, 0, 1, DAY - 5), 5);
  assert.ok(quota.take(words, 0, 4, DAY + 1));
  assert.equal(quota.remaining(words, 0, DAY - 1), 6, 'a clock that lags sees the new day');
  assert.ok(quota.take(words, 0, 1, DAY - 1));
  quota.give(words, 0, 5, 2 * DAY);
  assert.equal(quota.remaining(words, 0, 2 * DAY), 10, 'yesterday is gone');
  assert.ok(quota.isIdle(words, 0, 2 * DAY));
  const large = new DayQuota(1_000_000_000_000);
  const own = new PlainWords(1);
  assert.ok(large.take(own, 0, 999_000_000_000, DAY));
  assert.equal(large.take(own, 0, 1_100_000_000, DAY), false);
  large.charge(own, 0, 900_000_000_000, DAY);
  assert.equal(large.remaining(own, 0, DAY), 0);
});

test('a minute in debt gives nothing until it is worked off, and owes no more than a minute', () => {
  const budget = new MinuteBudget(600_000);
  const words = new PlainWords(1);
  assert.ok(budget.take(words, 0, 600_000, 0));
  budget.charge(words, 0, 10_000_000, 0);
  assert.equal(budget.remaining(words, 0, 59_000), 0);
  assert.equal(budget.take(words, 0, 1, 60_000), false);
  assert.ok(budget.take(words, 0, 1, 60_001));
  assert.ok(Math.abs(budget.resetMs(words, 0, 60_001) - 60_000) < 1);
  assert.ok(budget.isIdle(words, 0, 200_000));
  const widest = new MinuteBudget(500_000_000);
  const own = new PlainWords(1);
  assert.ok(widest.take(own, 0, 500_000_000, 7e11));
  assert.equal(widest.take(own, 0, 1, 7e11), false);
  widest.give(own, 0, 1, 7e11);
  assert.ok(widest.take(own, 0, 1, 7e11));
});
