/** A limit as the options say it, and the algorithm that keeps it. */
import { MillraceError } from '../../errors.ts';
import type { LimitAlgorithmName } from '../../options/names.ts';
import { LeakyBucket } from './leaky-bucket.ts';
import type { Algorithm } from './limit-words.ts';
import { SlidingLog } from './sliding-log.ts';
import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';

export type LimitStrategy = LimitAlgorithmName;

export interface LimitRule {
  readonly strategy: LimitStrategy;
  /** Fractions are legal: 0.1 is one in ten seconds. */
  readonly maxRequestsPerSecond: number;
  /** Absent: 200 for TokenBucket, otherwise 0. */
  readonly maxBurst?: number | undefined;
  readonly windowSizeMs: number;
  /** SlidingWindow: each request of the window is remembered, instead of two counts. For limits up to `EXACT_REQUESTS_MAX`. */
  readonly exact?: boolean | undefined;
}

export const ruleDefaults: LimitRule = {
  strategy: 'TokenBucket',
  maxRequestsPerSecond: 100,
  windowSizeMs: 1_000,
};

/** Beyond these a rule is a mistake, or an arithmetic that no longer is exact. */
export const RATE_MIN = 1 / 86_400;
export const RATE_MAX = 1_000_000;
export const WINDOW_MS_MAX = 86_400_000;

export function burstOf({ strategy, maxBurst }: LimitRule): number {
  return maxBurst ?? (strategy === 'TokenBucket' ? 200 : 0);
}

/** Throws MILLRACE_LIMIT_INVALID for a rule that no arithmetic of ours can keep. */
export function createAlgorithm(rule: LimitRule): Algorithm {
  const { strategy, maxRequestsPerSecond, windowSizeMs, exact = false } = rule;
  if (exact && strategy !== 'SlidingWindow') invalid('exact', 'false but for SlidingWindow', exact);
  const maxBurst = burstOf(rule);
  within('maxRequestsPerSecond', maxRequestsPerSecond, RATE_MIN, RATE_MAX);
  within('maxBurst', maxBurst, 0, Number.MAX_SAFE_INTEGER);
  whole('maxBurst', maxBurst);
  within('windowSizeMs', windowSizeMs, 1, WINDOW_MS_MAX);
  switch (strategy) {
    case 'TokenBucket':
      return new TokenBucket(maxRequestsPerSecond, maxBurst);
    case 'LeakyBucket':
      return new LeakyBucket(maxRequestsPerSecond, maxBurst);
    case 'SlidingWindow':
      return exact
        ? new SlidingLog(maxRequestsPerSecond, maxBurst, windowSizeMs)
        : new SlidingWindow(maxRequestsPerSecond, maxBurst, windowSizeMs);
    default:
      return invalid('strategy', 'one of TokenBucket, LeakyBucket, SlidingWindow', strategy);
  }
}

function within(option: string, got: unknown, min: number, max: number): void {
  if (typeof got === 'number' && got >= min && got <= max) return;
  invalid(option, `a number from ${min} to ${max}`, got);
}

function whole(option: string, got: number): void {
  if (!Number.isInteger(got)) invalid(option, 'a whole number', got);
}

function invalid(option: string, expected: string, got: unknown): never {
  const text = typeof got === 'number' ? got : String(got).slice(0, 100);
  throw new MillraceError('MILLRACE_LIMIT_INVALID', { option, expected, got: text });
}
