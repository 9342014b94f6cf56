/**
 * What an upstream says about its own limits with an answer it gives: whoever has used the last of it would be refused with the next request.
 *
 *     x-ratelimit-remaining-requests: 0 · x-ratelimit-reset-requests: 6m0s, 1.5s, 120ms       (OpenAI, and whoever speaks like it; -tokens likewise)
 *     anthropic-ratelimit-requests-remaining: 0 · anthropic-ratelimit-requests-reset: 2030-01-31T00:00:00Z     (-tokens likewise)
 */
const pairs = ['requests', 'tokens'].flatMap((what) => [
  [`x-ratelimit-remaining-${what}`, `x-ratelimit-reset-${what}`],
  [`anthropic-ratelimit-${what}-remaining`, `anthropic-ratelimit-${what}-reset`],
]);

/** How long it wants to be left alone; 0: it did not say so. `header`: by its name in lower case. */
export function saidRestMs(header: (name: string) => string | undefined, wallMs: number): number {
  let restMs = 0;
  for (const [remaining, reset] of pairs) {
    if (header(remaining)?.trim() !== '0') continue;
    restMs = Math.max(restMs, untilMs(header(reset)?.trim() ?? '', wallMs));
  }
  return restMs;
}

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function untilMs(text: string, wallMs: number): number {
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return Math.max(0, Date.parse(text) - wallMs || 0);
  // A number alone is seconds.
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return 0;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    sum += Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS];
  return sum;
}
