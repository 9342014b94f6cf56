import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExponentialBackoff, fullJitterGenerator } from 'cockatiel';
import * as fc from 'fast-check';
import { BACKOFF_MS_MAX, fullJitterMs, retryAfterMs } from '../../../src/policy/backoff.ts';
import { runs } from '../../support/runs.ts';
import { seeded } from '../../support/seed.ts';

test('the wait is uniform between nothing and a limit that doubles with every round', () => {
  assert.equal(fullJitterMs(100, 0, 0), 0);
  assert.equal(fullJitterMs(100, 0, 0.5), 50);
  assert.equal(fullJitterMs(100, 3, 0.5), 400);
  const random = seeded('backoff');
  const waits = Array.from({ length: 2000 }, () => fullJitterMs(100, 1, random.next()));
  assert.ok(waits.every((ms) => ms >= 0 && ms < 200));
  const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length;
  assert.ok(mean > 90 && mean < 110, `mean ${mean}`);
});

test('the wait is bounded, in whatever round', () => {
  assert.ok(fullJitterMs(100, 50, 0.999) <= BACKOFF_MS_MAX);
  assert.ok(fullJitterMs(100, 5000, 0.999) <= BACKOFF_MS_MAX);
  assert.equal(fullJitterMs(0, 5, 0.999), 0);
});

test('Retry-After in seconds and as a date', () => {
  const wallMs = Date.UTC(2026, 0, 1, 12, 0, 0);
  assert.equal(retryAfterMs('3', wallMs), 3000);
  assert.equal(retryAfterMs(' 0 ', wallMs), 0);
  assert.equal(retryAfterMs('1.5', wallMs), 1500);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 12:00:07 GMT', wallMs), 7000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 11:00:00 GMT', wallMs), 0);
});

test('Retry-After that is neither is no Retry-After', () => {
  for (const text of ['', 'soon', '-3', '12 potatoes', 'Thursday', '0x10', undefined]) {
    assert.equal(retryAfterMs(text, 0), undefined, String(text));
  }
});

test('cockatiel’s full jitter and ours wait equally long, round by round, for the same chance', () => {
  const { random } = Math;
  try {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60_000 }),
        fc.array(fc.double({ min: 0, max: 0.999_999, noNaN: true }), { maxLength: 40 }),
        (initialDelay, chances) => {
          const options = {
            initialDelay,
            maxDelay: BACKOFF_MS_MAX,
            generator: fullJitterGenerator,
          };
          let theirs: { duration: number; next(context: unknown): typeof theirs } | undefined;
          for (const [round, chance] of chances.entries()) {
            Math.random = () => chance;
            const factory = new ExponentialBackoff(options);
            theirs = (theirs ?? factory).next(undefined) as NonNullable<typeof theirs>;
            // They wait whole milliseconds.
            assert.equal(theirs.duration, Math.floor(fullJitterMs(initialDelay, round, chance)));
          }
        },
      ),
      runs(200, 5_000),
    );
  } finally {
    Math.random = random;
  }
});
