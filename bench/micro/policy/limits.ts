/** Limits: the shared check by a known slot and by a text, two threads on one key, leases; beside rate-limiter-flexible in the same run. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { allocateLimitTable, openLimitTable } from '../../../src/memory/limit-table.ts';
import {
  allocateReservationBook,
  openReservationBook,
} from '../../../src/memory/reservation-book.ts';
import { must } from '../../../src/must.ts';
import { schema } from '../../../src/options/schema.ts';
import { RateLimiter } from '../../../src/parts/rate-limiter.ts';
import { KeyedLimit } from '../../../src/policy/limit/keyed-limit.ts';
import { LIMIT_ROWS, LimitPlan } from '../../../src/policy/limit/limit-plan.ts';
import { Reservation } from '../../../src/policy/limit/reservation.ts';
import { TokenBucket } from '../../../src/policy/limit/token-bucket.ts';
import { entriesOf } from '../../../src/worker/budgets.ts';
import type { Bench, Outcome, Reading, Settings } from '../../support/bench.ts';
import type { Contended } from '../../support/peers/limit-worker.ts';

const KEYS = 1_024;
const SLOTS = 65_536;
const THREADS = 2;
/** The clock is read once a turn; a turn of a busy loop has about as many checks. */
const CHECKS_PER_TURN = 32;
const LEASE = 64;
/** The goals in M/s were set on a machine where the peer does 3.7 M/s: 20 of them are so many times as much. */
const PEER_TEXT_RATIO = 5.4;
/** CPU of a token in the whole relay (bench relay). */
const TOKEN_US = 16;

export const limits: Bench = {
  name: 'limits',
  title: `Limits: ${KEYS} keys in a table of ${SLOTS}, everything admitted`,
  run: measure,
};

type Run = (checks: number) => number | Promise<number>;

/** Admits all: the time runs ahead of what is taken. */
function knownSlot(): Run {
  const table = openLimitTable(allocateLimitTable(SLOTS, 1, 7));
  const crowd = table.row(0);
  const algorithm = new TokenBucket(1_000_000, 500_000);
  const limit = new KeyedLimit({ algorithm, slots: table, rule: 0, crowd, whenFull: 'refuse' });
  const subjects = Array.from({ length: KEYS }, (_, n) => limit.subject(`user-${n}`));
  return (checks) => {
    let [allowed, state] = [0, 1];
    for (let turn = 0; turn < checks; turn += CHECKS_PER_TURN) {
      for (let at = 0; at < CHECKS_PER_TURN; at++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
        if (limit.take(subjects[(state >>> 16) & (KEYS - 1)], 1, 1_000)) allowed++;
      }
    }
    return allowed;
  };
}

function textKey(): Run {
  const limiter = new RateLimiter({ maxRequestsPerSecond: 1_000_000, maxBurst: 500_000 });
  limiter.share();
  const keys = Array.from({ length: KEYS }, (_, n) => `user-${n}`);
  return (checks) => {
    let [allowed, state] = [0, 1];
    for (let at = 0; at < checks; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      if (limiter.checkRateLimit(keys[(state >>> 16) & (KEYS - 1)])) allowed++;
    }
    return allowed;
  };
}

function flexible(): Run {
  const limiter = new RateLimiterMemory({ points: 1e9, duration: 3_600 });
  const keys = Array.from({ length: KEYS }, (_, n) => `user-${n}`);
  return async (checks) => {
    let [allowed, state] = [0, 1];
    for (let at = 0; at < checks; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      await limiter.consume(keys[(state >>> 16) & (KEYS - 1)]);
      allowed++;
    }
    return allowed;
  };
}

/** A delta of an answer that has all four budgets, most of it set aside at its beginning. */
function meteredDelta(): Run {
  const budgets = {
    inputTokensPerMinute: 500_000_000,
    outputTokensPerMinute: 500_000_000,
    tokensPerDay: 1_000_000_000_000,
    streamsMax: 10,
  };
  const { limits: options } = schema.parse({ limits: { tokens: { perKey: budgets } } });
  const table = openLimitTable(allocateLimitTable(SLOTS, LIMIT_ROWS, 7));
  const now = () => 1_000;
  const plan = new LimitPlan(options, table, { now, wall: now });
  const book = openReservationBook(allocateReservationBook(1));
  return (checks) => {
    const taken = Reservation.take(
      {
        claims: plan.budgets('a key'),
        book: entriesOf(book, 0, 1),
        told: () => {},
        weights: { cached: 1, reasoning: 1 },
        now,
        wall: now,
      },
      { input: 1_000, output: checks / 2 },
    );
    must('reservation' in taken, 'a budget for one answer');
    let allowed = 0;
    for (let at = 0; at < checks; at++) if (taken.reservation.spend(1.2)) allowed++;
    taken.reservation.settle({ inputTokens: 0, outputTokens: 0 });
    return allowed;
  };
}

const cases: readonly { what: string; run: () => Run; share: number; goal?: number }[] = [
  { what: 'shared check, known slot', run: knownSlot, share: 1, goal: 40 },
  { what: 'shared check, text', run: textKey, share: 1, goal: 20 },
  { what: 'rate-limiter-flexible', run: flexible, share: 1 / 16 },
  { what: 'delta metered against four budgets', run: meteredDelta, share: 1 },
];

async function measure(settings: Settings): Promise<Outcome> {
  const checks = settings.quick ? 32_000 : 3_200_000;
  const runs = cases.map(({ run }) => run());
  const values: number[][] = cases.map(() => []);
  const bytes: number[] = [];
  for (let round = -2; round < settings.rounds; round++) {
    for (const [at, { what, share }] of cases.entries()) {
      const [rate, allocated] = await timed(runs[at], checks * share);
      if (round < 0) continue;
      values[at].push(rate);
      if (at === 0) bytes.push(allocated);
      settings.progress(`${what}, round ${round + 1}: ${rate.toFixed(1)} M/s`);
    }
  }
  const permits = settings.quick ? 2_000_000 : 40_000_000;
  const single: number[] = [];
  const leased: number[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    single.push(await contended(permits, 0));
    leased.push(await contended(permits, LEASE));
    settings.progress(`${THREADS} threads, one key, round ${round + 1}`);
  }
  // A request's three checks by known slots count on its first token alone: they are left out.
  const ofToken = values[3].map((rate) => 100 / rate / TOKEN_US);
  const ratios = [0, 1].map((at) => values[at].map((rate, round) => rate / values[2][round]));
  const readings: Reading[] = cases.map(({ what }, at) => ({
    what,
    unit: 'M/s',
    values: values[at],
  }));
  const together = `${THREADS} threads on one key`;
  return {
    readings: [
      ...readings,
      { what: `${together}, exact`, unit: 'M/s', values: single },
      { what: `${together}, leases of ${LEASE}, exact`, unit: 'M/s', values: leased },
      { what: 'allocated per check, known slot', unit: 'B', values: bytes },
    ],
    goals: [
      ...cases.flatMap(({ what, goal }, at) =>
        goal === undefined
          ? []
          : [{ what, sense: 'at least' as const, limit: goal, unit: 'M/s', values: values[at] }],
      ),
      {
        what: 'known slot against rate-limiter-flexible',
        sense: 'at least',
        limit: 8,
        unit: 'x',
        values: ratios[0],
      },
      {
        what: 'text against rate-limiter-flexible',
        sense: 'at least',
        limit: PEER_TEXT_RATIO,
        unit: 'x',
        values: ratios[1],
      },
      { what: together, sense: 'at least', limit: 25, unit: 'M/s', values: single },
      { what: `${together}, leases`, sense: 'at least', limit: 200, unit: 'M/s', values: leased },
      {
        what: `metering, of ${TOKEN_US} µs a token (computed)`,
        sense: 'at most',
        limit: 2,
        unit: '%',
        values: ofToken,
      },
      { what: 'allocated per check', sense: 'at most', limit: 0.01, unit: 'B', values: bytes },
    ],
    notes: [
      'CPU time of one thread; with several threads the wall clock of the slowest: those rows need two idle cores.',
      'Every run must admit as many as it asks for, and the threads together exactly what there is: otherwise the bench fails.',
    ],
  };
}

/** Millions a second of CPU, and bytes allocated per check. */
async function timed(run: Run, checks: number): Promise<[number, number]> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const heap = process.memoryUsage().heapUsed;
  const before = process.cpuUsage();
  const allowed = await run(checks);
  const { user, system } = process.cpuUsage(before);
  const allocated = process.memoryUsage().heapUsed - heap;
  must(allowed === checks, 'everything is admitted');
  // What the measurement itself makes is some kilobytes.
  return [checks / (user + system), Math.max(0, allocated - 16_384) / checks];
}

/** Millions of permits a second, all threads together. */
async function contended(permits: number, leaseSize: number): Promise<number> {
  const gate = new SharedArrayBuffer(4);
  new Int32Array(gate)[0] = THREADS;
  const data: Contended = { shared: allocateLimitTable(16, 1, 7), gate, permits, leaseSize };
  const all = await Promise.all(
    Array.from({ length: THREADS }, () => {
      const url = new URL('../../support/peers/limit-worker.js', import.meta.url);
      const worker = new Worker(url, { workerData: data });
      return new Promise<{ got: number; ms: number }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    }),
  );
  const got = all.reduce((sum, each) => sum + each.got, 0);
  must(got === permits, `exactly ${permits} permits, not ${got}`);
  return got / Math.max(...all.map(({ ms }) => ms)) / 1_000;
}
