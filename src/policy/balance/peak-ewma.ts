/**
 * How long an upstream takes to its first token, as a peak-sensitive moving average: a slow answer counts at once, fast ones are believed slowly, and
 * silence forgets. After Finagle's PeakEwma, but over the time to the first token: the duration of a stream says how
 * much was asked, not how fast the upstream is.
 */

/** A sample loses 1 − 1/e of its weight in this time. */
export const DECAY_MS = 10_000;

/** The average after one more sample; `elapsedMs` since the last one. 0 = no sample yet. */
export function observed(averageUs: number, elapsedMs: number, sampleUs: number): number {
  if (averageUs === 0 || sampleUs > averageUs) return sampleUs;
  const kept = Math.exp(-Math.max(0, elapsedMs) / DECAY_MS);
  return averageUs * kept + sampleUs * (1 - kept);
}

/** What is left of an average that nobody has confirmed for so long. Cheaper than an exponential, and as good for comparing two. */
export function faded(averageUs: number, elapsedMs: number): number {
  return averageUs / (1 + Math.max(0, elapsedMs) / DECAY_MS);
}
