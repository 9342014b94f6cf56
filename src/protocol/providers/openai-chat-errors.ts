/** Failures that an OpenAI-like server reports: instead of a stream, or inside one. */
import { MillraceError } from '../../errors.ts';
import type { HeaderReader } from '../provider.ts';
import { asArray, asObject, asText, type JsonObject } from './json-value.ts';
import { reasonOf, wordsOf } from './upstream-words.ts';

/** Words of a limit that passes: OpenAI's, Anthropic's. */
const limits = /rate_limit|overloaded/;

/** Waited when an upstream limits the rate and does not say for how long. */
const WAIT_MS_DEFAULT = 1_000;
/** No upstream is left alone for longer than this on its own word. */
const WAIT_MS_MAX = 24 * 3600 * 1000;

/** Statuses that say something about this upstream (its key, its bill, its state), not about the request. */
const elsewhere = new Set([401, 402, 403, 407, 408, 409, 423, 425]);

export function refusal(
  upstream: string,
  status: number,
  headers: HeaderReader,
  body: Uint8Array,
  apiKey?: string,
): MillraceError {
  const text = Buffer.from(body).toString('utf8');
  const words = wordsOf(parsed(text));
  const reason = reasonOf(words?.message || text, apiKey);
  if (status >= 200 && status < 300) {
    const type = headers('content-type') ?? 'none';
    return new MillraceError('MILLRACE_UPSTREAM_MALFORMED', {
      upstream,
      reason: `status ${status} with content type ${reasonOf(type)}`,
    });
  }
  const quota = words?.marks.includes('insufficient_quota') ?? false;
  if ((status === 429 && !quota) || status === 529)
    return new MillraceError('MILLRACE_UPSTREAM_LIMITED', { upstream, waitMs: waitOf(headers) });
  // Whatever an upstream says about a key it does not take may quote that key, whole or in part.
  if (status === 401 || status === 403)
    return refused(upstream, status, 'it does not accept our key');
  if (status < 400 || status >= 500 || elsewhere.has(status) || quota)
    return refused(upstream, status, reason);
  return new MillraceError('MILLRACE_UPSTREAM_REJECTED', {
    upstream,
    upstreamStatus: status,
    reason,
  });
}

function refused(upstream: string, status: number, reason: string): MillraceError {
  return new MillraceError('MILLRACE_UPSTREAM_STATUS', {
    upstream,
    upstreamStatus: status,
    reason,
  });
}

/**
 * The failure an event reports, or undefined when it reports none: `{"error":…}`, vLLM's `{"object":"error",…}`, an event named
 * error, a finish reason `error`.
 */
export function errorIn(upstream: string, name: string, event: unknown): MillraceError | undefined {
  const object = asObject(event);
  const reports = name === 'error' || (object !== undefined && isError(object));
  if (!reports) return undefined;
  const words = wordsOf(event);
  const reason = reasonOf(words?.message || (asText(event) ?? words?.marks ?? ''));
  const marks = words?.marks ?? '';
  const status = words?.status ?? 0;
  const quota = marks.includes('insufficient_quota');
  if ((status === 429 || status === 529 || limits.test(marks)) && !quota)
    return new MillraceError('MILLRACE_UPSTREAM_LIMITED', { upstream, waitMs: WAIT_MS_DEFAULT });
  const ours = marks.includes('invalid_request') || marks.includes('context_length');
  if (status === 400 || status === 413 || status === 422 || (ours && status === 0)) {
    const upstreamStatus = status === 0 ? 400 : status;
    return new MillraceError('MILLRACE_UPSTREAM_REJECTED', { upstream, upstreamStatus, reason });
  }
  return new MillraceError('MILLRACE_UPSTREAM_ERROR', { upstream, reason });
}

function isError(event: JsonObject): boolean {
  if (event['error'] || event['object'] === 'error' || event['type'] === 'error') return true;
  return asObject(asArray(event['choices'])?.[0])?.['finish_reason'] === 'error';
}

/** How long the upstream wants to be left alone. `Retry-After` as a date is read against the response's own `Date`. */
function waitOf(headers: HeaderReader): number {
  const exact = Number(headers('retry-after-ms') ?? Number.NaN);
  if (exact >= 0) return bounded(exact);
  const after = headers('retry-after');
  if (after !== undefined) {
    const seconds = after.trim() === '' ? Number.NaN : Number(after);
    if (seconds >= 0) return bounded(seconds * 1000);
    const date = Date.parse(after) - Date.parse(headers('date') ?? '');
    if (date >= 0) return bounded(date);
  }
  const instant = anthropicWaitOf(headers);
  if (instant !== undefined) return bounded(instant);
  // OpenAI tells when each bucket is full again; the one that is empty counts, else the slower one.
  const resets = ['requests', 'tokens'].map((kind) => ({
    empty: headers(`x-ratelimit-remaining-${kind}`)?.trim() === '0',
    waitMs: durationOf(headers(`x-ratelimit-reset-${kind}`) ?? ''),
  }));
  const known = resets.filter((reset) => reset.waitMs !== undefined);
  const empty = known.filter((reset) => reset.empty);
  const waits = (empty.length > 0 ? empty : known).map((reset) => reset.waitMs ?? 0);
  return waits.length === 0 ? WAIT_MS_DEFAULT : bounded(Math.max(...waits));
}

/** Anthropic tells the moment (RFC 3339) at which an empty bucket is full again; read against the response's own `Date`. */
function anthropicWaitOf(headers: HeaderReader): number | undefined {
  const nowMs = Date.parse(headers('date') ?? '');
  const waits = ['requests', 'tokens', 'input-tokens', 'output-tokens']
    .filter((kind) => headers(`anthropic-ratelimit-${kind}-remaining`)?.trim() === '0')
    .map((kind) => Date.parse(headers(`anthropic-ratelimit-${kind}-reset`) ?? '') - nowMs)
    .filter((waitMs) => waitMs >= 0);
  return waits.length === 0 ? undefined : Math.max(...waits);
}

function bounded(waitMs: number): number {
  return Math.min(WAIT_MS_MAX, Math.ceil(waitMs));
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's way to write durations: `12ms`, `1.5s`, `6m0s`. */
function durationOf(text: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h)){1,6}$/.test(text)) return undefined;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g))
    total += Number(number) * units[unit];
  return total;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
