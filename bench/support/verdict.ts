/** From rounds to a verdict, and from verdicts to an exit code. */
import { median, quantile } from './statistics.ts';

export type Verdict = 'reached' | 'missed' | 'inconclusive';

export interface Goal {
  /** What is compared, as the table says it. */
  readonly what: string;
  readonly sense: 'at most' | 'at least' | 'within';
  readonly limit: number;
  /** 'within': allowed distance from the limit. */
  readonly tolerance?: number;
  /** One value per round. */
  readonly values: readonly number[];
  /** Said when a round cannot count (too few tokens, an overloaded machine …): the verdict is then inconclusive. */
  readonly doubt?: string;
  /** x, µs, KB … */
  readonly unit: string;
}

export interface Judged extends Goal {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: Verdict;
}

/** Fewer rounds prove nothing. */
export const ROUNDS_MIN = 5;

function keeps(goal: Goal, value: number): boolean {
  if (goal.sense === 'at most') return value <= goal.limit;
  if (goal.sense === 'at least') return value >= goal.limit;
  return Math.abs(value - goal.limit) <= (goal.tolerance ?? 0);
}

/** Reached or missed when the median and both quartiles say the same; inconclusive when they contradict each other. */
export function judge(goal: Goal, roundsMin = ROUNDS_MIN): Judged {
  const values = goal.values.filter((value) => Number.isFinite(value));
  if (values.length === 0) {
    return {
      ...goal,
      median: Number.NaN,
      low: Number.NaN,
      high: Number.NaN,
      verdict: 'inconclusive',
    };
  }
  const [low, middle, high] = [quantile(values, 0.25), median(values), quantile(values, 0.75)];
  const good = keeps(goal, middle);
  const sure =
    goal.sense === 'within'
      ? values.length >= roundsMin
      : values.length >= roundsMin && keeps(goal, low) === good && keeps(goal, high) === good;
  const verdict = !sure || goal.doubt !== undefined ? 'inconclusive' : good ? 'reached' : 'missed';
  return { ...goal, median: middle, low, high, verdict };
}

/** 0 all reached, 1 something missed, 3 nothing missed but something inconclusive. */
export function exitCode(verdicts: readonly Verdict[]): 0 | 1 | 3 {
  if (verdicts.includes('missed')) return 1;
  return verdicts.includes('inconclusive') ? 3 : 0;
}
