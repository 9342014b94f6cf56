/**
 * The guide's RateLimiter, alone: global, per key, per connection. One thread, or several that share its memory.
 *
 *     const limiter = new RateLimiter({ strategy: 'TokenBucket', maxRequestsPerSecond: 100, maxBurst: 200 });
 *     if (!limiter.checkRateLimit(userId)) return socket.send('Rate limit exceeded');
 *
 *     new Worker(file, { workerData: limiter.share() });              // there: RateLimiter.fromShared(workerData)
 */
import { MillraceError } from '../errors.ts';
import type { LimitTable } from '../memory/contract.ts';
import {
  openLimitTable,
  openPrivateLimitTable,
  privateLimitWords,
  publishLimitWords,
} from '../memory/limit-table.ts';
import { clearLimit, KeyedLimit, type WhenFull } from '../policy/limit/keyed-limit.ts';
import { Lease } from '../policy/limit/lease.ts';
import { createAlgorithm, type LimitRule, ruleDefaults } from '../policy/limit/limit-rule.ts';
import type { Algorithm } from '../policy/limit/limit-words.ts';
import { KnownSubjects } from './known-subjects.ts';
import { TurnClock } from './turn-clock.ts';

export interface RateLimiterOptions extends Partial<LimitRule> {
  /** Keys and connections remembered at once, rounded up to a power of two; default 65,536 (2 MiB). */
  readonly keysMax?: number;
  /** A key that finds no room shares one limit with all others like it (`crowd`, the default), or passes (`admit`), or not (`refuse`). */
  readonly whenFull?: WhenFull;
  /**
   * Permits that a thread takes of the global limit at once, for threads that ask for it tens of millions of times a second; default 1. The limit stays exact; what a thread has not used
   * it gives back the next time it asks later than 10 ms.
   */
  readonly globalLease?: number;
  /** The time in milliseconds, never going back; the same clock in all threads that share the limiter. Default: the machine's, read once a turn of the loop. */
  readonly clock?: () => number;
}

/** What `share` gives and `fromShared` takes: survives `postMessage` and `workerData`. */
export interface SharedRateLimiter {
  readonly rule: LimitRule;
  readonly whenFull: WhenFull;
  readonly globalLease: number;
  readonly memory: Parameters<typeof openLimitTable>[0];
}

export interface RateLimiterStats {
  /** Checks of this thread. */
  readonly allowed: number;
  readonly refused: number;
  /** Of those, checks of keys that found no room. */
  readonly crowded: number;
  /** Keys and connections remembered now, over all threads. */
  readonly keys: number;
  readonly keysMax: number;
}

const Row = { global: 0, keys: 1, connections: 2, count: 3 } as const;
const Rule = { keys: 0, connections: 1 } as const;
const KEYS_MAX = 65_536;
const LEASE_MS = 10;
const KEYS_LIMIT = 2 ** 24;
/** Each second a sixteenth of the table is swept, after a pause all of it. */
const SWEEP_MS = 1_000;
const SWEEPS = 16;

export class RateLimiter {
  readonly #rule: LimitRule;
  readonly #whenFull: WhenFull;
  readonly #globalLease: number;
  readonly #algorithm: Algorithm;
  readonly #clock: () => number;
  #words: Int32Array | undefined;
  #memory: SharedRateLimiter['memory'] | undefined;
  #table: LimitTable;
  #global: Lease | undefined;
  #keys: KnownSubjects;
  #connections: KnownSubjects;
  #sweptMs: number;
  #allowed = 0;
  #refused = 0;

  /** Throws MILLRACE_LIMIT_INVALID for a rule that cannot be kept. */
  constructor(options: RateLimiterOptions = {}, shared?: SharedRateLimiter) {
    const { keysMax = KEYS_MAX, whenFull = 'crowd', globalLease = 1, clock, ...given } = options;
    this.#rule = shared?.rule ?? { ...ruleDefaults, ...given };
    this.#whenFull = shared?.whenFull ?? whenFull;
    this.#algorithm = createAlgorithm(this.#rule);
    this.#globalLease = shared?.globalLease ?? leaseOf(globalLease, this.#algorithm);
    const turn = new TurnClock();
    this.#clock = clock ?? (() => turn.now());
    if (shared) {
      this.#memory = shared.memory;
      this.#table = openLimitTable(shared.memory);
    } else {
      const log = this.#rule.exact ? this.#algorithm.capacity : 0;
      this.#words = privateLimitWords(slotsFor(keysMax), Row.count, drawSeed(), log);
      this.#table = openPrivateLimitTable(this.#words);
    }
    this.#global = this.#leased();
    this.#keys = this.#limit(Rule.keys, Row.keys);
    this.#connections = this.#limit(Rule.connections, Row.connections);
    this.#sweptMs = this.#clock();
  }

  /** The limiter of another thread. `clock`: see RateLimiterOptions. */
  static fromShared(shared: SharedRateLimiter, clock?: () => number): RateLimiter {
    return new RateLimiter(clock && { clock }, shared);
  }

  /** From here on the limiter's state is shared with whoever opens it. */
  share(): SharedRateLimiter {
    if (this.#words) {
      this.#global?.release(this.#clock());
      this.#memory = publishLimitWords(this.#words);
      this.#table = openLimitTable(this.#memory);
      this.#words = undefined;
      this.#global = this.#leased();
      this.#keys = this.#limit(Rule.keys, Row.keys);
      this.#connections = this.#limit(Rule.connections, Row.connections);
    }
    const shared = {
      rule: this.#rule,
      whenFull: this.#whenFull,
      globalLease: this.#globalLease,
    };
    return { ...shared, memory: this.#memory as never };
  }

  /** May one more request pass? All of them count together. */
  checkGlobalRateLimit(): boolean {
    const nowMs = this.#now();
    if (this.#global) return this.#count(this.#global.take(1, nowMs));
    return this.#count(this.#algorithm.take(this.#table, this.#table.row(Row.global), 1, nowMs));
  }

  /** May one more request of this key pass? */
  checkRateLimit(key: string): boolean {
    return this.#check(this.#keys, key);
  }

  /** May one more message of this connection pass? */
  checkConnectionRateLimit(id: string | number): boolean {
    return this.#check(this.#connections, typeof id === 'number' ? String(id) : id);
  }

  /**
   * LeakyBucket as a pacer: delays instead of refusing.
   *
   * @returns how long this request of the key has to wait until its turn comes, in milliseconds; it has taken its turn with that. Undefined: `maxBurst` of them already wait.
   * @throws MILLRACE_LIMIT_INVALID for another strategy.
   */
  paceRequest(key: string): number | undefined {
    const { strategy } = this.#rule;
    if (strategy !== 'LeakyBucket') {
      const expected = 'LeakyBucket, to pace requests';
      throw new MillraceError('MILLRACE_LIMIT_INVALID', {
        option: 'strategy',
        expected,
        got: strategy,
      });
    }
    const waitMs = this.#keys.limit.pace(this.#keys.of(text(key)), 1, this.#now());
    return this.#count(waitMs >= 0) ? waitMs : undefined;
  }

  /** The key, and the connection of this name, as if they had never come. */
  reset(key: string): void {
    for (const { limit } of [this.#keys, this.#connections]) limit.reset(limit.subject(text(key)));
  }

  /** Everything as at the start, statistics of this thread included. */
  resetAll(): void {
    this.#table.sweep(0, this.#table.slots, () => true);
    this.#clearRows(() => true);
    this.#global = this.#leased();
    this.#allowed = 0;
    this.#refused = 0;
  }

  getStats(): RateLimiterStats {
    return {
      allowed: this.#allowed,
      refused: this.#refused,
      crowded: this.#keys.limit.crowded + this.#connections.limit.crowded,
      keys: this.#table.used(),
      keysMax: this.#table.slots,
    };
  }

  #leased(): Lease | undefined {
    if (this.#globalLease === 1) return undefined;
    const how = { size: this.#globalLease, heldMs: LEASE_MS };
    return new Lease(this.#algorithm, this.#table, this.#table.row(Row.global), how);
  }

  #limit(rule: number, crowd: number): KnownSubjects {
    const algorithm = this.#algorithm;
    const limit = new KeyedLimit({
      algorithm,
      slots: this.#table,
      rule,
      crowd: this.#table.row(crowd),
      whenFull: this.#whenFull,
      others: (_, at, nowMs) => algorithm.isIdle(this.#table, at, nowMs),
    });
    return new KnownSubjects(limit);
  }

  #check(known: KnownSubjects, key: string): boolean {
    return this.#count(known.limit.take(known.of(text(key)), 1, this.#now()));
  }

  #count(allowed: boolean): boolean {
    if (allowed) this.#allowed++;
    else this.#refused++;
    return allowed;
  }

  #now(): number {
    const nowMs = this.#clock();
    if (nowMs - this.#sweptMs >= SWEEP_MS) this.#sweep(nowMs);
    return nowMs;
  }

  #sweep(nowMs: number): void {
    const { slots } = this.#table;
    const late = nowMs - this.#sweptMs >= SWEEPS * SWEEP_MS;
    this.#sweptMs = nowMs;
    this.#keys.limit.sweep(late ? slots : slots / SWEEPS, nowMs);
    this.#clearRows((at) => this.#algorithm.isIdle(this.#table, at, nowMs));
  }

  #clearRows(isIdle: (at: number) => boolean): void {
    for (let row = 0; row < Row.count; row++) {
      const at = this.#table.row(row);
      if (!isIdle(at)) continue;
      clearLimit(this.#table, at);
    }
  }
}

/** More than a whole limit could never be taken at once. */
function leaseOf(globalLease: number, { capacity }: Algorithm): number {
  if (Number.isInteger(globalLease) && globalLease >= 1 && globalLease <= capacity)
    return globalLease;
  const expected = `a whole number from 1 to ${capacity}`;
  const details = { option: 'globalLease', expected, got: globalLease };
  throw new MillraceError('MILLRACE_LIMIT_INVALID', details);
}

function text(key: unknown): string {
  if (typeof key === 'string') return key;
  const details = { option: 'key', expected: 'a text', got: typeof key };
  throw new MillraceError('MILLRACE_LIMIT_INVALID', details);
}

/** Of the platform's crypto, loaded when it is asked for. */
function drawSeed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0];
}

function slotsFor(keysMax: number): number {
  if (Number.isInteger(keysMax) && keysMax >= 1 && keysMax <= KEYS_LIMIT) {
    return Math.max(16, 2 ** Math.ceil(Math.log2(keysMax)));
  }
  const expected = `a whole number from 1 to ${KEYS_LIMIT}`;
  const got = String(keysMax).slice(0, 100);
  throw new MillraceError('MILLRACE_LIMIT_INVALID', { option: 'keysMax', expected, got });
}
