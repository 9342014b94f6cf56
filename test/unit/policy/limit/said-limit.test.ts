/** What upstreams say about their own limits, in the forms they say it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saidRestMs } from '../../../../src/policy/limit/said-limit.ts';

const WALL = Date.parse('2030-01-31T00:00:00Z');
const said = (headers: Record<string, string>) => saidRestMs((name) => headers[name], WALL);

test('an upstream whose last request or token was used names its time, in durations, seconds or dates', () => {
  const of = (reset: string) =>
    said({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': reset });
  assert.deepEqual(
    ['120ms', '1.5s', '6m0s', '1h2m3.5s', '1d', '7', '0.25'].map(of),
    [120, 1_500, 360_000, 3_723_500, 86_400_000, 7_000, 250],
  );
  const anthropic = {
    'anthropic-ratelimit-tokens-remaining': ' 0 ',
    'anthropic-ratelimit-tokens-reset': '2030-01-31T00:00:12Z',
  };
  assert.equal(said(anthropic), 12_000);
  const both = {
    ...anthropic,
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '20s',
  };
  assert.equal(said(both), 20_000, 'the longest');
});

test('whoever has something left, says nonsense or nothing, is asked as before', () => {
  const nothing = [
    {},
    { 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-reset-requests': '6m' },
    { 'x-ratelimit-remaining-requests': '0' },
    ...['soon', '-5s', '5 s', 's', '1e9s', '', '2030-99-99T00:00:00Z', '2029-01-31T00:00:00Z'].map(
      (reset) => ({
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': reset,
      }),
    ),
    { 'x-ratelimit-reset-requests': '6m' },
  ];
  for (const headers of nothing)
    assert.equal(said(headers as Record<string, string>), 0, JSON.stringify(headers));
});
