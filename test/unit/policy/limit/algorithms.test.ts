/**
 * Goal: the limits admit what they say, and nothing else. Method: seeded command runs against references that count in another way (an unbounded bucket of ticks, a map of
 * windows, a list of times), over wrapping words; RateLimiterMemory of rate-limiter-flexible where both mean the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { MillraceError } from '../../../../src/errors.ts';
import { CAPACITY_MAX, Gcra } from '../../../../src/policy/limit/gcra.ts';
import { clearLimit } from '../../../../src/policy/limit/keyed-limit.ts';
import { LeakyBucket } from '../../../../src/policy/limit/leaky-bucket.ts';
import { createAlgorithm, ruleDefaults } from '../../../../src/policy/limit/limit-rule.ts';
import { type Algorithm, PlainWords } from '../../../../src/policy/limit/limit-words.ts';
import { EXACT_REQUESTS_MAX, SlidingLog } from '../../../../src/policy/limit/sliding-log.ts';
import { SlidingWindow } from '../../../../src/policy/limit/sliding-window.ts';
import { TokenBucket } from '../../../../src/policy/limit/token-bucket.ts';
import { ReferenceLog } from '../../../support/reference-log.ts';
import { seeded } from '../../../support/seed.ts';

const runs = process.env['SLOW'] ? 10_000 : 500;
const { seed, next } = seeded('limit algorithms');
const check = <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, holds), { seed, numRuns: runs });

/** Milliseconds after the step before, and what is asked for: negative gives back. */
const steps = fc.array(
  fc.tuple(
    fc.oneof(fc.constant(0), fc.double({ min: 0, max: 50, noNaN: true }), fc.nat(5_000)),
    fc.integer({ min: -3, max: 12 }),
  ),
  { maxLength: 60 },
);
const rate = fc.oneof(
  fc.constantFrom(0.1, 1, 3, 100, 1_000),
  fc.double({ min: 0.01, max: 5_000, noNaN: true }),
);
/** Anywhere on the words' circle. */
const start = fc.oneof(fc.nat(10_000), fc.double({ min: 0, max: 1e10, noNaN: true }));

const LOG_WORDS = 32;
const strategies = [
  { strategy: 'TokenBucket' },
  { strategy: 'LeakyBucket' },
  { strategy: 'SlidingWindow' },
  { strategy: 'SlidingWindow', exact: true },
] as const;

/** An unbounded bucket, in ticks that never wrap. */
class Bucket {
  readonly #size: number;
  #held: number;
  #last = Number.NaN;

  constructor(capacity: number) {
    this.#size = capacity * 1_000;
    this.#held = this.#size;
  }

  take(cost: number, ticks: number): boolean {
    this.#fill(ticks);
    if (this.#held < cost * 1_000) return false;
    this.#held -= cost * 1_000;
    return true;
  }

  give(cost: number, ticks: number): void {
    this.#fill(ticks);
    this.#held = Math.min(this.#size, this.#held + cost * 1_000);
  }

  get whole(): number {
    return Math.floor(this.#held / 1_000);
  }

  #fill(ticks: number): void {
    this.#held = Math.min(this.#size, this.#held + (ticks - this.#last || 0));
    this.#last = ticks;
  }
}

for (const [name, make] of [
  ['TokenBucket', (r: number, b: number) => new TokenBucket(r, b)],
  ['LeakyBucket', (r: number, b: number) => new LeakyBucket(r, b)],
] as const) {
  test(`${name} decides as an unbounded bucket does, over wrapping ticks`, () => {
    check(fc.tuple(rate, fc.nat(40), start, steps), ([perSecond, burst, from, all]) => {
      const limit: Algorithm = make(perSecond, burst);
      const words = new PlainWords(1);
      const bucket = new Bucket(Math.max(1, burst));
      let nowMs = from;
      for (const [wait, cost] of all) {
        nowMs += wait;
        if (limit.isIdle(words, 0, nowMs)) clearLimit(words, 0);
        const ticks = Math.floor(nowMs * perSecond);
        if (cost <= 0) {
          limit.give(words, 0, -cost, nowMs);
          bucket.give(-cost, ticks);
        } else {
          const waitMs = limit.waitMs(words, 0, cost, nowMs);
          const taken = limit.take(words, 0, cost, nowMs);
          assert.equal(taken, bucket.take(cost, ticks));
          assert.equal(taken, waitMs === 0);
          assert.equal(waitMs === Number.POSITIVE_INFINITY, cost > limit.capacity);
        }
        assert.equal(limit.remaining(words, 0, nowMs), bucket.whole);
      }
    });
  });
}

test('what a bucket admits in any window is at most its burst and what the rate gives', () => {
  check(
    fc.tuple(rate, fc.integer({ min: 1, max: 40 }), start, steps),
    ([perSecond, burst, from, all]) => {
      const limit = new TokenBucket(perSecond, burst);
      const words = new PlainWords(1);
      const admitted: number[] = [];
      let nowMs = from;
      for (const [wait, cost] of all) {
        nowMs += wait;
        for (let at = 0; at < Math.abs(cost); at++) {
          if (limit.take(words, 0, 1, nowMs)) admitted.push(nowMs);
        }
      }
      for (let first = 0; first < admitted.length; first++) {
        for (let last = first; last < admitted.length; last++) {
          const most = burst + ((admitted[last] - admitted[first]) * perSecond) / 1_000;
          assert.ok(last - first + 1 <= most + 0.002, `${last - first + 1} of ${most}`);
        }
      }
    },
  );
});

test('a wait is as long as it says: a moment before it is too early, then it passes', () => {
  check(
    fc.tuple(fc.constantFrom('TokenBucket', 'LeakyBucket', 'SlidingWindow'), rate, start),
    ([strategy, perSecond, from]) => {
      const rule = {
        ...ruleDefaults,
        strategy,
        maxRequestsPerSecond: perSecond,
        maxBurst: 3,
      } as const;
      const limit = createAlgorithm(rule);
      const words = new PlainWords(2);
      while (limit.take(words, 0, 1, from));
      const waitMs = limit.waitMs(words, 0, 1, from);
      assert.ok(waitMs > 0);
      const early = new PlainWords(2);
      while (limit.take(early, 0, 1, from));
      assert.equal(
        limit.take(early, 0, 1, from + waitMs * 0.99 - 2_000 / (perSecond * 1_000)),
        false,
      );
      assert.ok(limit.take(words, 0, 1, from + waitMs * 1.001 + 2_000 / (perSecond * 1_000)));
    },
  );
});

test('SlidingWindow decides as a map of all windows does, over wrapping epochs', () => {
  check(
    fc.tuple(
      rate,
      fc.integer({ min: 0, max: 5 }),
      fc.constantFrom(100, 1_000, 60_000),
      start,
      steps,
    ),
    ([perSecond, burst, sizeMs, from, all]) => {
      const limit = new SlidingWindow(perSecond, burst, sizeMs);
      const words = new PlainWords(2);
      const windows = new Map<number, number>();
      let nowMs = from;
      for (const [wait, cost] of all) {
        nowMs += wait * (sizeMs / 1_000);
        if (limit.isIdle(words, 0, nowMs)) clearLimit(words, 0);
        const place = nowMs / limit.windowMs;
        const window = Math.floor(place);
        const count = windows.get(window) ?? 0;
        if (cost <= 0) {
          limit.give(words, 0, -cost, nowMs);
          windows.set(window, Math.max(0, count + cost));
        } else {
          const left = 1 - (place - window);
          const fits = (windows.get(window - 1) ?? 0) * left + count + cost <= limit.capacity;
          assert.equal(limit.take(words, 0, cost, nowMs), fits);
          if (fits) windows.set(window, count + cost);
        }
      }
      for (const count of windows.values()) assert.ok(count <= limit.capacity);
    },
  );
});

test('SlidingWindow errs as it says: no window holds twice the limit, and one can hold one less', () => {
  const limit = new SlidingWindow(100, 0, 1_000);
  const words = new PlainWords(2);
  const admitted: number[] = [];
  const ask = (nowMs: number) => limit.take(words, 0, 1, nowMs) && admitted.push(nowMs);
  for (let at = 0; at < 200; at++) ask(999.99);
  for (let nowMs = 1_000; nowMs < 1_999.9; nowMs += 0.5) ask(nowMs);
  assert.equal(admitted.length, 199);
  check(fc.tuple(start, steps), ([from, all]) => {
    const small = new SlidingWindow(10, 0, 1_000);
    const own = new PlainWords(2);
    const times: number[] = [];
    let nowMs = from;
    for (const [wait, cost] of all) {
      nowMs += wait / 10;
      for (let at = 0; at < Math.abs(cost); at++)
        if (small.take(own, 0, 1, nowMs)) times.push(nowMs);
    }
    for (const first of times) {
      const within = times.filter((at) => at >= first && at < first + 1_000).length;
      assert.ok(within < 20, `${within} in a window`);
    }
  });
});

test('the reference log decides as a list of all times does: never more than the limit in any window', () => {
  check(fc.tuple(fc.integer({ min: 1, max: 20 }), start, steps), ([capacity, from, all]) => {
    const log = new ReferenceLog(capacity, 1_000);
    const times: number[] = [];
    let nowMs = from;
    for (const [wait, asked] of all) {
      nowMs += wait;
      const cost = Math.max(1, Math.abs(asked));
      const within = times.filter((at) => at > nowMs - 1_000).length;
      assert.equal(log.remaining(nowMs), Math.max(0, capacity - within));
      const fits = within + cost <= capacity;
      assert.equal(log.take(cost, nowMs), fits);
      if (fits) times.push(...Array.from({ length: cost }, () => nowMs));
    }
  });
});

test('SlidingLog decides as that one does, over wrapping ticks, and says when it will', () => {
  const whole = fc.array(
    fc.tuple(fc.oneof(fc.constant(0), fc.nat(40), fc.nat(1_500)), fc.integer({ min: 1, max: 6 })),
    { maxLength: 60 },
  );
  const from = fc.oneof(
    fc.nat(10_000),
    fc.nat(2 ** 31).map((at) => at * 4),
  );
  check(fc.tuple(fc.integer({ min: 1, max: 20 }), from, whole), ([capacity, start0, all]) => {
    const limit = new SlidingLog(capacity, 0, 1_000);
    const words = new PlainWords(2, capacity);
    const reference = new ReferenceLog(capacity, 1_000);
    let nowMs = start0;
    for (const [wait, cost] of all) {
      nowMs += wait;
      if (limit.isIdle(words, 0, nowMs)) clearLimit(words, 0);
      assert.equal(limit.remaining(words, 0, nowMs), reference.remaining(nowMs));
      const waitMs = limit.waitMs(words, 0, cost, nowMs);
      const taken = limit.take(words, 0, cost, nowMs);
      assert.equal(taken, reference.take(cost, nowMs));
      assert.equal(waitMs === 0, taken);
      if (taken || cost > capacity) continue;
      // Not a millisecond sooner than it said.
      assert.equal(limit.take(words, 0, cost, nowMs + Math.ceil(waitMs) - 1), false);
      nowMs += Math.ceil(waitMs);
      assert.ok(limit.take(words, 0, cost, nowMs), `after ${waitMs} ms`);
      assert.ok(reference.take(cost, nowMs));
    }
  });
  assert.throws(() => new SlidingLog(EXACT_REQUESTS_MAX + 1, 0, 1_000), MillraceError);
});

test('SlidingLog at any fraction of a millisecond: never more than the limit in any window, and never much less', () => {
  check(fc.tuple(fc.integer({ min: 1, max: 20 }), start, steps), ([capacity, from, all]) => {
    const limit = new SlidingLog(capacity, 0, 1_000);
    const words = new PlainWords(2, capacity);
    const times: number[] = [];
    let nowMs = from;
    for (const [wait] of all) {
      nowMs += wait;
      if (limit.isIdle(words, 0, nowMs)) clearLimit(words, 0);
      const within = (ms: number) => times.filter((at) => at > nowMs - ms).length;
      const taken = limit.take(words, 0, 1, nowMs);
      if (taken) assert.ok(within(1_000) < capacity, 'one too many');
      else assert.ok(within(1_000.2) >= capacity, 'one too few');
      if (taken) times.push(nowMs);
    }
  });
});

test('SlidingLog takes back what was taken last, and as much as is charged', () => {
  const limit = new SlidingLog(3, 0, 1_000);
  const words = new PlainWords(2, 3);
  for (const at of [100, 200, 300]) assert.ok(limit.take(words, 0, 1, at));
  limit.give(words, 0, 1, 310);
  assert.equal(limit.remaining(words, 0, 310), 1);
  assert.equal(limit.resetMs(words, 0, 310), 890, 'the refund was the last one taken');
  limit.charge(words, 0, 2, 320);
  assert.equal(limit.remaining(words, 0, 320), 0);
  assert.equal(limit.waitMs(words, 0, 1, 320), 880, 'the oldest began anew');
  limit.give(words, 0, 100, 330);
  assert.equal(limit.remaining(words, 0, 330), 3);
});

test('bursts that lie two windows apart are decided as rate-limiter-flexible decides them', async (t) => {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 });
  const points = 7;
  const others = new RateLimiterMemory({ points, duration: 1 });
  const limits = [
    new TokenBucket(points, points),
    new LeakyBucket(points, points),
    new SlidingWindow(points, 0, 1_000),
  ].map((limit) => ({ limit, words: new PlainWords(2) }));
  for (let burst = 0; burst < 50; burst++) {
    const asked = Math.floor(next() * 15);
    for (let at = 0; at < asked; at++) {
      const theirs = await others.consume('key').then(
        () => true,
        () => false,
      );
      for (const { limit, words } of limits) {
        assert.equal(limit.take(words, 0, 1, Date.now()), theirs, `${at} of ${asked}`);
      }
    }
    t.mock.timers.tick(2_000);
  }
});

test('the rate is exact to a thousandth, from one in ten minutes to a million a second', () => {
  for (const perSecond of [1 / 600, 0.1, 0.3, 1, 7, 99.9, 1e3, 33_333, 1e6]) {
    const limits = [
      new TokenBucket(perSecond, 1),
      new LeakyBucket(perSecond, 0),
      new SlidingWindow(perSecond, 0, 100_000 / perSecond),
    ];
    for (const limit of limits) {
      const words = new PlainWords(2);
      const stepMs = 1_000 / perSecond / 8;
      let admitted = 0;
      let nowMs = 12_345;
      while (!limit.take(words, 0, 1, nowMs)) nowMs += stepMs;
      const from = nowMs;
      for (let at = 0; at < 80_000; at++) {
        nowMs += stepMs;
        if (limit.take(words, 0, 1, nowMs)) admitted++;
      }
      const measured = (admitted * 1_000) / (nowMs - from);
      const error = Math.abs(limit.ratePerSecond / perSecond - 1);
      process.stdout.write(
        `# ${limit.constructor.name} ${perSecond}/s: error of the arithmetic ${error.toExponential(1)}, measured ${measured.toFixed(4)}/s\n`,
      );
      assert.ok(error <= 0.001);
      // A sliding window admits a grid window's permits wherever in it they are asked for.
      const window = limit instanceof SlidingWindow ? limit.capacity : 0;
      const due = ((nowMs - from) * perSecond) / 1_000;
      assert.ok(admitted <= due * 1.001 + window, `${admitted} of ${due}`);
      assert.ok(admitted >= due * (window ? 0.49 : 0.999) - window, `${admitted} of ${due}`);
    }
  }
});

test('a pacing leaky bucket spaces a burst evenly, and says no when too many wait', () => {
  const limit = new LeakyBucket(10, 4);
  const words = new PlainWords(1);
  const waits = Array.from({ length: 6 }, () => limit.pace(words, 0, 1, 5_000));
  assert.deepEqual(waits, [0, 100, 200, 300, -1, -1]);
  assert.equal(limit.paceMsMax, 300);
  assert.equal(limit.pace(words, 0, 1, 5_100), 300);
  assert.equal(limit.pace(words, 0, 1, 60_000), 0);
});

test('a clock that jumps by an hour, forwards or back, costs at most one more burst', () => {
  for (const strategy of strategies) {
    const limit = createAlgorithm({
      ...ruleDefaults,
      ...strategy,
      maxRequestsPerSecond: 10,
      maxBurst: 10,
    });
    const words = new PlainWords(2, LOG_WORDS);
    const drain = (nowMs: number) => {
      let admitted = 0;
      while (limit.take(words, 0, 1, nowMs)) admitted++;
      return admitted;
    };
    const hour = 3_600_000;
    let nowMs = 10 * hour;
    assert.equal(drain(nowMs), limit.capacity);
    for (const jump of [hour, -hour, -hour, hour, -3 * hour, 5 * hour]) {
      nowMs += jump;
      const admitted = drain(nowMs);
      const { constructor } = limit;
      assert.ok(admitted <= limit.capacity, `${constructor.name}: ${admitted} after ${jump}`);
      assert.ok(admitted > 0, `${constructor.name} refuses after ${jump}`);
    }
  }
});

test('a clock that lags by a little admits nothing more', () => {
  for (const strategy of strategies) {
    if (strategy.strategy === 'LeakyBucket') continue;
    const limit = createAlgorithm({
      ...ruleDefaults,
      ...strategy,
      maxRequestsPerSecond: 10,
      maxBurst: 10,
    });
    const words = new PlainWords(2, LOG_WORDS);
    while (limit.take(words, 0, 1, 100_000));
    for (const lag of [1, 50, 700, 1_500]) {
      assert.equal(
        limit.take(words, 0, 1, 100_000 - lag),
        false,
        `${limit.constructor.name}, ${lag} ms`,
      );
    }
  }
});

test('costs: 0 always passes, the capacity once, one more than it never', () => {
  for (const strategy of strategies) {
    const limit = createAlgorithm({
      ...ruleDefaults,
      ...strategy,
      maxRequestsPerSecond: 5,
      maxBurst: 5,
    });
    const words = new PlainWords(2, LOG_WORDS);
    assert.equal(limit.take(words, 0, limit.capacity + 1, 1_000), false);
    assert.equal(limit.waitMs(words, 0, limit.capacity + 1, 1_000), Number.POSITIVE_INFINITY);
    assert.ok(limit.take(words, 0, limit.capacity, 1_000));
    assert.ok(limit.take(words, 0, 0, 1_000));
    assert.equal(limit.take(words, 0, 1, 1_000), false);
    limit.give(words, 0, 1_000_000, 1_000);
    assert.equal(limit.remaining(words, 0, 1_000), limit.capacity, 'not more than all');
  }
});

test('a burst of 0 is evenly spaced, and legal', () => {
  const limit = createAlgorithm({ ...ruleDefaults, strategy: 'LeakyBucket', maxBurst: 0 });
  const words = new PlainWords(2);
  const passed = [0, 0, 9, 10.01, 10.01, 20.02].filter((at) => limit.take(words, 0, 1, 1_000 + at));
  assert.deepEqual(passed, [0, 10.01, 20.02]);
});

test('a rule that cannot be kept is refused with its option, what it must be and what it is', () => {
  const bad: [object, RegExp][] = [
    [
      { maxRequestsPerSecond: 0 },
      /maxRequestsPerSecond must be a number from .* to 1000000, got 0/,
    ],
    [{ maxRequestsPerSecond: -1 }, /got -1/],
    [{ maxRequestsPerSecond: Number.NaN }, /got NaN/],
    [{ maxRequestsPerSecond: 1e7 }, /got 10000000/],
    [{ maxRequestsPerSecond: '100' }, /got 100/],
    [{ maxBurst: -1 }, /maxBurst/],
    [{ maxBurst: 1.5 }, /maxBurst must be a whole number/],
    [{ maxBurst: CAPACITY_MAX + 1 }, new RegExp(`maxBurst must be at most ${CAPACITY_MAX}`)],
    [{ windowSizeMs: 0 }, /windowSizeMs/],
    [{ strategy: '__proto__' }, /strategy must be one of TokenBucket, LeakyBucket, SlidingWindow/],
    [{ strategy: 'SlidingWindow', maxRequestsPerSecond: 1e6, windowSizeMs: 2_000 }, /windowSizeMs/],
  ];
  for (const [rule, why] of bad) {
    assert.throws(
      () => createAlgorithm({ ...ruleDefaults, ...rule }),
      (thrown) => thrown instanceof MillraceError && why.test(thrown.message),
      JSON.stringify(rule),
    );
  }
  assert.equal(new Gcra(1e6, CAPACITY_MAX).capacity, CAPACITY_MAX);
});
