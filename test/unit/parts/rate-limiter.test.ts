/** Goal: the guide's RateLimiter as the guide has it, alone and shared. Method: a clock of our own; a process of its own for what the import costs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { MillraceError } from '../../../src/errors.ts';
import { RateLimiter } from '../../../src/parts/rate-limiter.ts';

function withClock(options: ConstructorParameters<typeof RateLimiter>[0] = {}) {
  const time = { nowMs: 1_000 };
  const clock = () => time.nowMs;
  return { time, clock, limiter: new RateLimiter({ ...options, clock }) };
}
const count = (times: number, check: () => boolean) =>
  Array.from({ length: times }, check).filter(Boolean).length;

test("the guide's defaults: 100 a second, 200 at once, globally, per key and per connection", async () => {
  const { limiter, time } = withClock();
  assert.equal(
    count(300, () => limiter.checkGlobalRateLimit()),
    200,
  );
  assert.equal(
    count(300, () => limiter.checkRateLimit('a')),
    200,
  );
  assert.equal(
    count(300, () => limiter.checkRateLimit('b')),
    200,
  );
  assert.equal(
    count(300, () => limiter.checkConnectionRateLimit('a')),
    200,
  );
  assert.equal(
    count(300, () => limiter.checkConnectionRateLimit(7)),
    200,
  );
  assert.deepEqual(limiter.getStats(), {
    allowed: 1_000,
    refused: 500,
    crowded: 0,
    keys: 4,
    keysMax: 65_536,
  });
  time.nowMs += 500;
  assert.equal(
    count(300, () => limiter.checkGlobalRateLimit()),
    50,
  );
  assert.equal(await Promise.resolve(limiter.checkRateLimit('a')), true);
});

test('reset forgets a key, resetAll all of them and the statistics', () => {
  const { limiter } = withClock({ strategy: 'LeakyBucket', maxRequestsPerSecond: 1 });
  assert.deepEqual([limiter.checkRateLimit('a'), limiter.checkRateLimit('a')], [true, false]);
  limiter.reset('a');
  assert.deepEqual([limiter.checkRateLimit('a'), limiter.checkRateLimit('a')], [true, false]);
  limiter.checkGlobalRateLimit();
  limiter.resetAll();
  const { allowed, refused, keys } = limiter.getStats();
  assert.deepEqual([allowed, refused, keys], [0, 0, 0]);
  assert.ok(limiter.checkGlobalRateLimit() && limiter.checkRateLimit('a'));
});

test('a limiter that is shared goes on where it stood, and both sides count together', () => {
  const { limiter, clock } = withClock({ maxBurst: 10 });
  assert.equal(
    count(4, () => limiter.checkRateLimit('a')),
    4,
  );
  const other = RateLimiter.fromShared(structuredClone(limiter.share()), clock);
  assert.equal(
    count(5, () => other.checkRateLimit('a')),
    5,
  );
  assert.equal(
    count(5, () => limiter.checkRateLimit('a')),
    1,
  );
  assert.equal(other.getStats().keys, 1);
  other.reset('a');
  assert.equal(
    count(20, () => limiter.checkRateLimit('a')),
    10,
  );
});

test('an exact window holds no more than its limit wherever it begins, for each key, alone and shared', () => {
  const rule = { strategy: 'SlidingWindow', maxRequestsPerSecond: 5, exact: true } as const;
  const { limiter, time, clock } = withClock(rule);
  time.nowMs = 1_900;
  assert.equal(
    count(9, () => limiter.checkRateLimit('a')),
    5,
  );
  // Two counters would let four of them pass here.
  time.nowMs = 2_850;
  assert.equal(
    count(9, () => limiter.checkRateLimit('a')),
    0,
  );
  const other = RateLimiter.fromShared(limiter.share(), clock);
  assert.equal(other.checkRateLimit('a'), false);
  time.nowMs = 2_900;
  assert.equal(
    count(9, () => limiter.checkRateLimit('a')) + count(9, () => other.checkRateLimit('a')),
    5,
  );
  assert.equal(
    count(9, () => other.checkGlobalRateLimit()),
    5,
  );
  other.reset('a');
  assert.ok(limiter.checkRateLimit('a'));
  assert.throws(
    () => new RateLimiter({ exact: true }),
    /exact must be false but for SlidingWindow/,
  );
  assert.throws(() => new RateLimiter({ ...rule, maxRequestsPerSecond: 2_000 }), /at most 1024/);
});

test('keys are forgotten when they have all of their permits again', () => {
  const { limiter, time } = withClock({ keysMax: 100 });
  for (let at = 0; at < 100; at++) limiter.checkRateLimit(`key ${at}`);
  time.nowMs += 60_000;
  limiter.checkGlobalRateLimit();
  assert.equal(limiter.getStats().keys, 0);
  assert.equal(limiter.getStats().keysMax, 128);
});

test('without a clock of its own it follows the time', async () => {
  const limiter = new RateLimiter({ strategy: 'LeakyBucket', maxRequestsPerSecond: 200 });
  assert.ok(limiter.checkGlobalRateLimit());
  assert.equal(limiter.checkGlobalRateLimit(), false);
  let passed = false;
  for (let turns = 0; turns < 1_000_000 && !passed; turns++) {
    await new Promise(setImmediate);
    passed = limiter.checkGlobalRateLimit();
  }
  assert.ok(passed);
});

test('misuse throws, and says what was meant', () => {
  const limiter = new RateLimiter();
  for (const key of [undefined, null, 5, {}] as never[]) {
    assert.throws(() => limiter.checkRateLimit(key), MillraceError);
  }
  assert.throws(() => new RateLimiter({ keysMax: 0 }), /keysMax must be a whole number from 1/);
  assert.throws(() => new RateLimiter({ maxRequestsPerSecond: 0 }), /maxRequestsPerSecond/);
  for (const key of ['__proto__', '', 'x'.repeat(2 ** 20)]) assert.ok(limiter.checkRateLimit(key));
});

test('the import loads nothing but itself: no schema, no server, no client', () => {
  const entry = new URL('../../../src/parts/rate-limiter.js', import.meta.url);
  const program = `
    await import(${JSON.stringify(entry.href)});
    const { createRequire } = await import('node:module');
    const foreign = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify({ foreign, list: process.moduleLoadList.filter((name) => /http|net$|tls|worker$/.test(name)) }));`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  const { foreign, list } = JSON.parse(said) as { foreign: string[]; list: string[] };
  assert.deepEqual(foreign, []);
  assert.ok(!list.some((name) => /NativeModule (http|https|net|tls)$/.test(name)), list.join());
});

test('a leaky bucket paces: each of a burst gets its turn, and what would wait too long is told so', () => {
  let nowMs = 5_000;
  const clock = () => nowMs;
  const rule = { strategy: 'LeakyBucket', maxRequestsPerSecond: 10, maxBurst: 3 } as const;
  const limiter = new RateLimiter({ ...rule, clock });
  const ask = () => limiter.paceRequest('a');
  assert.deepEqual([ask(), ask(), ask(), ask()], [0, 100, 200, undefined]);
  assert.equal(limiter.paceRequest('b'), 0);
  nowMs += 100;
  assert.deepEqual([ask(), ask()], [200, undefined]);
  nowMs += 10_000;
  assert.equal(ask(), 0);
  assert.deepEqual([limiter.getStats().allowed, limiter.getStats().refused], [6, 2]);
  assert.throws(() => new RateLimiter({ clock }).paceRequest('a'), /LeakyBucket/);
  // Another thread's turns come behind ours.
  nowMs += 10_000;
  const other = RateLimiter.fromShared(limiter.share(), clock);
  const turns = [ask(), other.paceRequest('a'), ask(), other.paceRequest('a')];
  assert.deepEqual(turns, [0, 100, 200, undefined]);
});

test('a lease takes many permits of the global limit at once, exactly, and none is lost', () => {
  let nowMs = 5_000;
  const clock = () => nowMs;
  const rule = { maxRequestsPerSecond: 1, maxBurst: 100 } as const;
  const limiter = new RateLimiter({ ...rule, globalLease: 30, clock });
  for (let n = 0; n < 5; n++) assert.ok(limiter.checkGlobalRateLimit());
  const other = RateLimiter.fromShared(limiter.share(), clock);
  const drain = (...all: RateLimiter[]) => {
    let taken = 0;
    while (all.some((each) => each.checkGlobalRateLimit())) taken++;
    return taken;
  };
  assert.equal(drain(limiter, other), 95, 'what lay unused when it was shared is there');
  limiter.resetAll();
  // 30 of them lie with the first, which does not come again.
  assert.ok(limiter.checkGlobalRateLimit());
  assert.equal(drain(other), 70);
  nowMs += 11;
  assert.ok(limiter.checkGlobalRateLimit());
  assert.equal(drain(limiter), 28);
  for (const globalLease of [0, 1.5, 101, Number.NaN, '9' as never])
    assert.throws(() => new RateLimiter({ ...rule, globalLease }), /globalLease .*from 1 to 100/);
});
