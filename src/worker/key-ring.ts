/**
 * The API keys of the upstreams, each with a rest of its own: a limited or refused key rests alone, over all workers, and its upstream only when all of
 * them do. When each key may be used again stands in shared memory, on the 32-bit clock of all threads.
 */
import type { UpstreamTable } from '../memory/contract.ts';
import { COOLDOWN_MS } from '../policy/backoff.ts';
import type { Clock } from '../policy/ports.ts';
import type { AttemptFailure } from './attempt-parts.ts';
import type { Means } from './means.ts';
import type { Upstream } from './route.ts';
import type { RunningAttempt } from './running-attempt.ts';

/** A key that was not accepted: somebody may have put it right by then. */
export const REFUSED_MS = 300_000;
/** Longer rests are cut to it; what lies further ahead is of the clock's former turn. */
const REST_MS_MAX = REFUSED_MS;

export interface Rested {
  /** Nobody had put this key to rest before. */
  readonly isNew: boolean;
  /** Time until the first of the keys may be used; 0: one may be now. */
  readonly allMs: number;
}

export class KeyRing {
  readonly #table: UpstreamTable;
  readonly #clock: Clock;
  /** By row: whose turn it is. */
  readonly #turns = new Map<number, number>();

  constructor(table: UpstreamTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** The next key that does not rest; the one that rests least when all do; -1 when there is none. */
  take({ index, apiKeys }: Upstream): number {
    const { length } = apiKeys;
    if (length < 2) return length - 1;
    const turn = this.#turns.get(index) ?? 0;
    let best = turn % length;
    for (let step = 0; step < length; step++) {
      const key = (turn + step) % length;
      if (this.#restMs(index, key) < this.#restMs(index, best)) best = key;
    }
    this.#turns.set(index, best + 1);
    return best;
  }

  rest({ index, apiKeys }: Upstream, key: number, ms: number): Rested {
    const isNew = this.#restMs(index, key) === 0;
    const until = (this.#clock.wall() + Math.min(REST_MS_MAX, Math.max(1, Math.ceil(ms)))) | 0;
    this.#table.setKeyRest(index, key, until === 0 ? 1 : until);
    return { isNew, allMs: Math.min(...apiKeys.map((_, each) => this.#restMs(index, each))) };
  }

  #restMs(upstream: number, key: number): number {
    const until = this.#table.keyRest(upstream, key);
    const ahead = (until - (this.#clock.wall() | 0)) | 0;
    return until !== 0 && ahead > 0 && ahead <= REST_MS_MAX ? ahead : 0;
  }
}

/**
 * What a failure means for the key and the upstream it met: who rests, and for how long. `otherKey`: only the key is to blame, another one may be
 * tried at once. `floorMs`: the upstream is not asked before (0: at any time).
 */
export function restAfter(
  means: Means,
  { upstream, key }: RunningAttempt,
  { error, retryAfterMs }: AttemptFailure,
): { readonly otherKey: boolean; readonly floorMs: number } {
  const { keys, route, clock } = means;
  const { code, details } = error;
  const isOne = upstream.apiKeys.length > 1;
  const status = details['upstreamStatus'];
  if (isOne && code === 'MILLRACE_UPSTREAM_STATUS' && (status === 401 || status === 403)) {
    const { isNew, allMs } = keys.rest(upstream, key, REFUSED_MS);
    const { name } = upstream.options;
    if (isNew)
      means.publish({ fact: 'upstream-key-refused', upstream: name, key: key + 1, status });
    if (allMs === 0) return { otherKey: true, floorMs: 0 };
    return { otherKey: false, floorMs: clock.now() + route.rest(upstream.index, allMs) };
  }
  if (code !== 'MILLRACE_UPSTREAM_LIMITED' && retryAfterMs === undefined)
    return { otherKey: false, floorMs: 0 };
  const said = Number(details['waitMs'] ?? retryAfterMs ?? Number.NaN);
  let ms = Number.isFinite(said) ? said : undefined;
  if (isOne && code === 'MILLRACE_UPSTREAM_LIMITED') {
    const { allMs } = keys.rest(upstream, key, ms ?? COOLDOWN_MS);
    if (allMs === 0) return { otherKey: true, floorMs: 0 };
    ms = allMs;
  }
  return { otherKey: false, floorMs: clock.now() + route.rest(upstream.index, ms) };
}

/** The key that this attempt used is not used before so long; when none of its upstream's may be, the upstream rests. */
export function restKey(
  { keys, route }: Means,
  { upstream, key }: Pick<RunningAttempt, 'upstream' | 'key'>,
  ms: number,
): void {
  const restMs = upstream.apiKeys.length > 1 ? keys.rest(upstream, key, ms).allMs : ms;
  if (restMs > 0) route.rest(upstream.index, restMs);
}
