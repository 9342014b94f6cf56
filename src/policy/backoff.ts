/** How long to wait before the same upstream is asked again. */

/** A jittered wait never grows above this. */
export const BACKOFF_MS_MAX = 10_000;
/** An upstream that limits us is left alone for at most this long, whatever its Retry-After says. */
export const COOLDOWN_MS_MAX = 60_000;
/** How long when it says nothing. */
export const COOLDOWN_MS = 1_000;

/**
 * Full jitter: uniform in [0, min(BACKOFF_MS_MAX, base × 2^round)). Spreads a crowd of retries better than a jittered
 * constant, because it has no common minimum. `chance` is uniform in [0, 1).
 */
export function fullJitterMs(baseMs: number, round: number, chance: number): number {
  return chance * Math.min(BACKOFF_MS_MAX, baseMs * 2 ** Math.min(round, 30));
}

/**
 * Retry-After (RFC 9110 section 10.2.3): seconds or a date, as milliseconds from `wallMs`; undefined when absent or neither.
 * A date in the past is 0.
 */
export function retryAfterMs(value: string | undefined, wallMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  // Only dates with a name of a day in front: Date.parse would take "12 potatoes" for a year.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallMs);
}
