/** Order statistics of a few rounds. */
import { must } from '../../src/must.ts';

/** Linear interpolation between the two nearest ranks; `share` 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  must(values.length > 0, 'a quantile needs values');
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Round by round: a[i] / b[i]. Drift of the machine moves both and cancels. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  must(a.length === b.length, 'both sides have as many rounds');
  return a.map((value, i) => value / b[i]);
}
