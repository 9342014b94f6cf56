/**
 * What a request does after a failed attempt, before its first delta. Pure: told what is usable now, it answers where to go,
 * how long to wait, or that it is over.
 *
 *   round 0:  A fails ─▶ B at once ─▶ C at once ─▶ all tried: jittered wait ─▶ round 1: any of them again …
 *
 * Bounded three ways: attempts, one deadline over all of them, and (outside, RetryBudget) retries of all requests together.
 */
import { fullJitterMs } from './backoff.ts';

export interface RetryRules {
  /** Attempts after the first. */
  readonly maxRetries: number;
  readonly retryDelayMs: number;
}

export type Next =
  | { readonly kind: 'go'; readonly among: readonly number[] }
  /** Ask again at this time. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'give-up'; readonly why: 'attempts' | 'deadline' | 'none' };

const NONE_LEFT = { kind: 'give-up', why: 'none' } as const;

export class Attempts {
  readonly #rules: RetryRules;
  /** Failed in this round, and when the upstream itself said it may be asked again. Most streams never need it. */
  #tried: Map<number, number> | undefined;
  #made = 0;
  #round = 0;
  #resumeMs = 0;

  constructor(rules: RetryRules) {
    this.#rules = rules;
  }

  /** Attempts begun so far. */
  get made(): number {
    return this.#made;
  }

  /** `usable`: upstreams that could take a stream now. `chance` is uniform in [0, 1). */
  next(usable: readonly number[], nowMs: number, deadlineMs: number, chance: number): Next {
    if (this.#made > this.#rules.maxRetries) return { kind: 'give-up', why: 'attempts' };
    if (nowMs >= deadlineMs) return { kind: 'give-up', why: 'deadline' };
    if (this.#resumeMs > 0 && nowMs >= this.#resumeMs) this.#again(nowMs);
    const among = usable.filter((upstream) => !this.#tried?.has(upstream));
    if (among.length > 0) return { kind: 'go', among };
    if (this.#made === 0 || this.#round > this.#rules.maxRetries) return NONE_LEFT;
    return this.#wait(usable, nowMs, deadlineMs, chance);
  }

  /** Which of these an attempt may go to beside the one that runs. */
  untried(usable: readonly number[]): number[] {
    if (this.#made > this.#rules.maxRetries) return [];
    return usable.filter((upstream) => !this.#tried?.has(upstream));
  }

  /** An attempt at this upstream begins. */
  begin(): void {
    this.#made += 1;
  }

  /** It failed; the upstream is not asked again in this round, nor before `floorMs` (its Retry-After). */
  failed(upstream: number, floorMs = 0): void {
    this.#tried ??= new Map();
    this.#tried.set(upstream, floorMs);
  }

  #again(nowMs: number): void {
    this.#resumeMs = 0;
    this.#round += 1;
    for (const [upstream, floorMs] of this.#tried ?? []) {
      if (floorMs <= nowMs) this.#tried?.delete(upstream);
    }
  }

  #wait(usable: readonly number[], nowMs: number, deadlineMs: number, chance: number): Next {
    if (this.#resumeMs > nowMs) return { kind: 'wait', untilMs: this.#resumeMs };
    // Whoever named a time may be unusable just because of it: it counts as soon as that time has come.
    let soonestMs = Infinity;
    for (const [upstream, floorMs] of this.#tried ?? []) {
      if (floorMs > nowMs || usable.includes(upstream)) soonestMs = Math.min(soonestMs, floorMs);
    }
    if (soonestMs === Infinity) return NONE_LEFT;
    const jitterMs = fullJitterMs(this.#rules.retryDelayMs, this.#round, chance);
    const untilMs = Math.max(nowMs + jitterMs, soonestMs);
    if (untilMs >= deadlineMs) return { kind: 'give-up', why: 'deadline' };
    this.#resumeMs = Math.max(untilMs, Number.MIN_VALUE);
    return { kind: 'wait', untilMs: this.#resumeMs };
  }
}

const SLOT_MS = 1_000;
const SLOTS = 10;

/** How many came in the last ten seconds, by whole seconds. */
class Recent {
  readonly #slots = new Uint32Array(SLOTS);
  #at = 0;
  #sum = 0;

  /** So many came since some ten seconds ago. */
  count(nowMs: number): number {
    const at = Math.floor(nowMs / SLOT_MS);
    if (at - this.#at >= SLOTS) this.#slots.fill(0);
    else for (let slot = this.#at + 1; slot <= at; slot++) this.#slots[slot % SLOTS] = 0;
    if (at > this.#at) {
      this.#at = at;
      this.#sum = this.#slots.reduce((sum, each) => sum + each, 0);
    }
    return this.#sum;
  }

  add(nowMs: number, n: 1 | -1): void {
    this.count(nowMs);
    const slot = this.#at % SLOTS;
    if (n < 0 && this.#slots[slot] === 0) return;
    this.#slots[slot] += n;
    this.#sum += n;
  }
}

/**
 * Keeps retries a small share of the load, so that a failing upstream does not get its load multiplied: of what runs now, and of what was begun in the last ten
 * seconds (retries that fail at once hardly ever run, and would multiply the load all the same). A retry runs until it commits or fails. An attempt that never left
 * the process (refused, connect timeout) costs the upstream nothing: its successor is free.
 */
export class RetryBudget {
  #share: number;
  #floor: number;
  #running = 0;
  readonly #begun = new Recent();
  readonly #taken = new Recent();

  /** `floor`: as many may always run, and as many begin in a second, on the average of ten. */
  constructor(share: number, floor: number) {
    this.#share = share;
    this.#floor = floor;
  }

  /** Changed bounds; retries that run keep their places. */
  follow(share: number, floor: number): void {
    this.#share = share;
    this.#floor = floor;
  }

  /** Retries running now. */
  get running(): number {
    return this.#running;
  }

  /** A stream makes its first attempt. */
  began(nowMs: number): void {
    this.#begun.add(nowMs, 1);
  }

  /** Takes a place among `streams` running streams. False: none is free, or too many were taken lately. */
  take(streams: number, nowMs: number): boolean {
    if (this.#running >= Math.max(this.#floor, Math.floor(this.#share * streams))) return false;
    const share = Math.floor(this.#share * this.#begun.count(nowMs));
    if (this.#taken.count(nowMs) >= Math.max(SLOTS * this.#floor, share)) return false;
    this.#running += 1;
    this.#taken.add(nowMs, 1);
    return true;
  }

  give(): void {
    this.#running -= 1;
  }

  /** As `give`, of a place that came to nothing. */
  undo(nowMs: number): void {
    this.give();
    this.#taken.add(nowMs, -1);
  }
}
