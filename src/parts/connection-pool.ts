/**
 * The guide's ConnectionPool, alone: connections that are kept open, balanced, checked, replaced, and as many as the load needs.
 *
 *     const pool = new ConnectionPool({ minConnections: 2, open: () => connectTo(url), close: (socket) => socket.close() });
 *     const answer = await pool.run((socket) => askOver(socket, question));       // another connection when one fails
 *
 *     const selected = await pool.selectConnection();                             // or by hand
 *     try { … } finally { selected.release(); }
 *
 *     await pool.close();
 *
 * A pool keeps no process alive.
 */
import { MillraceError } from '../errors.ts';
import { Attempts, RetryBudget } from '../policy/retry.ts';
import { Scale } from '../policy/scale.ts';
import { Waiters } from '../policy/waiters.ts';
import {
  type FailoverConfig,
  failoverSettings,
  type PoolConfig,
  type PoolSettings,
  type PoolWorld,
  poolSettings,
  realWorld,
} from './pool-config.ts';
import { PoolMembers } from './pool-members.ts';

export type { LoadBalanceStrategy } from './load-balancer.ts';
export type { FailoverConfig, PoolConfig, PoolWorld } from './pool-config.ts';

/** A connection in use. */
export interface Selected<C> {
  readonly id: string;
  readonly connection: C;
  /** It is not in use any more; the first call counts. `failed`: for the connection's fault; `neither`: it says nothing about the connection. */
  release(outcome?: 'good' | 'failed' | 'neither'): void;
}

export interface PoolStats {
  /** Open now, used or not. */
  readonly activeConnections: number;
  readonly idleConnections: number;
  readonly minConnections: number;
  readonly maxConnections: number;
  /** How many there should be for the load. */
  readonly targetConnections: number;
  /** Connections left alone because their uses failed. */
  readonly openCircuits: number;
  readonly waiting: number;
  /** Since the pool was made. */
  readonly opened: number;
  readonly closed: number;
  readonly openFailures: number;
  readonly selected: number;
  readonly failed: number;
}

/** What a task of `run` learns beside its connection. */
export interface Use {
  readonly id: string;
  /** Counted from 1. */
  readonly attempt: number;
}

const TICK_MS = 1_000;
/** Retries, as a share of what runs and of what was begun; or so many. */
const BUDGET_SHARE = 0.2;
const BUDGET_FLOOR = 3;

export class ConnectionPool<C = undefined> {
  readonly #settings: PoolSettings<C>;
  readonly #failover: Required<FailoverConfig>;
  readonly #world: PoolWorld;
  readonly #members: PoolMembers<C>;
  readonly #waiters = new Waiters();
  readonly #budget = new RetryBudget(BUDGET_SHARE, BUDGET_FLOOR);
  readonly #scale: Scale;
  #running = 0;
  #cancelTick = () => {};

  /** @throws MILLRACE_FIELD_INVALID, with the setting and what it must be. */
  constructor(
    config: PoolConfig<C> = {},
    failover: FailoverConfig = {},
    world: Partial<PoolWorld> = {},
  ) {
    this.#settings = poolSettings(config);
    this.#failover = failoverSettings(failover);
    this.#world = { ...realWorld, ...world };
    const { minConnections: min, maxConnections: max } = this.#settings;
    const { scaleUpThreshold: up, scaleDownThreshold: down } = this.#settings;
    this.#scale = new Scale({ min, max, up, down });
    const rules = {
      enabled: this.#failover.enableCircuitBreaker,
      threshold: this.#failover.circuitBreakerThreshold,
      timeoutMs: this.#failover.circuitBreakerTimeoutMs,
      probes: 1,
    };
    const room = () => this.#waiters.wake();
    this.#members = new PoolMembers(this.#settings, rules, this.#world, room);
    this.#members.fill(this.#target);
    this.#tickLater();
  }

  /**
   * One more connection: this one, or, without one, what `open` gives. Resolves with its id.
   * @throws MILLRACE_POOL_FULL, MILLRACE_POOL_CLOSED, what `open` throws
   */
  async addConnection(
    connection?: C,
    { weight = 1 }: { readonly weight?: number } = {},
  ): Promise<string> {
    this.#mustBeOpen();
    const { maxConnections: max, open } = this.#settings;
    if (this.#members.size >= max) throw new MillraceError('MILLRACE_POOL_FULL', { max });
    const isGiven = connection !== undefined || !open;
    const member = isGiven
      ? this.#members.join(connection as C, weight)
      : await this.#members.open(weight);
    this.#scale.adopt(Math.max(this.#scale.size, this.#members.size));
    return member.id;
  }

  /** Nobody gets it any more; it is closed when nobody uses it, and replaced only below the minimum. False: there was none of this id. */
  async removeConnection(id: string): Promise<boolean> {
    const member = this.#members.get(id);
    if (!member) return false;
    const dropped = this.#members.drop(member);
    this.#scale.adopt(this.#members.size);
    this.#members.fill(this.#target);
    await dropped;
    return true;
  }

  /**
   * The next connection, balanced; waits when there is none to be had.
   * @throws MILLRACE_POOL_BUSY when none came free in time or too many wait, MILLRACE_POOL_CLOSED
   */
  async selectConnection(): Promise<Selected<C>> {
    this.#mustBeOpen();
    const selected = this.#waiters.ahead('') ? undefined : this.#take();
    return selected ?? this.#wait();
  }

  /**
   * Uses a connection; when `task` rejects, another one at once, and the same one again after a jittered wait, within the bounds of the FailoverConfig and a budget
   * over all retries of the pool. Rejects with what the last attempt rejected with. A task must bear being run again.
   */
  async run<T>(task: (connection: C, use: Use) => T | Promise<T>): Promise<T> {
    this.#mustBeOpen();
    this.#running++;
    this.#budget.began(this.#world.clock.now());
    try {
      return await this.#try(task);
    } finally {
      this.#running--;
    }
  }

  getStats(): PoolStats {
    const members = this.#members.all;
    const { minConnections, maxConnections } = this.#settings;
    return {
      activeConnections: members.length,
      idleConnections: members.filter(({ users }) => users === 0).length,
      minConnections,
      maxConnections,
      targetConnections: this.#target,
      openCircuits: members.filter(({ isOut }) => isOut).length,
      waiting: this.#waiters.count,
      ...this.#members.counts,
    };
  }

  /** Nobody gets a connection any more; resolves when those that nobody uses are closed. The others close with their release. */
  async close(): Promise<void> {
    this.#cancelTick();
    const closed = this.#members.close();
    this.#waiters.wake();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #target(): number {
    return this.#settings.enableAutoScaling ? this.#scale.size : this.#settings.minConnections;
  }

  #mustBeOpen(): void {
    if (this.#members.isClosed) throw new MillraceError('MILLRACE_POOL_CLOSED', {});
  }

  async #try<T>(task: (connection: C, use: Use) => T | Promise<T>): Promise<T> {
    const { clock, random, after } = this.#world;
    const tries = new Attempts(this.#failover);
    for (let failure: { thrown: unknown } | undefined; ; ) {
      const next = tries.next(this.#members.usable(), clock.now(), Infinity, random());
      if (next.kind === 'wait') {
        await new Promise<void>((resolve) => after(next.untilMs - clock.now(), resolve));
        continue;
      }
      if (failure && (next.kind !== 'go' || !this.#budget.take(this.#running, clock.now())))
        throw failure.thrown;
      const isRetry = failure !== undefined;
      try {
        const among = next.kind === 'go' ? new Set(next.among) : undefined;
        const selected = this.#take(among) ?? (await this.selectConnection());
        tries.begin();
        const { id, connection } = selected;
        try {
          const result = await task(connection, { id, attempt: tries.made });
          selected.release();
          return result;
        } catch (thrown) {
          failure = { thrown };
          tries.failed(Number(id.slice(id.lastIndexOf('-') + 1)));
          selected.release('failed');
        }
      } finally {
        if (isRetry) this.#budget.give();
      }
    }
  }

  #take(among?: ReadonlySet<number>): Selected<C> | undefined {
    const { clock, random } = this.#world;
    const picked = this.#members.take(among);
    if (!picked) return undefined;
    const { id, value: member } = picked;
    const admitted = member.enter(clock.now());
    const { counts } = this.#members;
    counts.selected++;
    let held = true;
    const release: Selected<C>['release'] = (outcome = 'good') => {
      if (!held) return;
      held = false;
      picked.release();
      if (outcome === 'failed') counts.failed++;
      const mayOpen = () => this.#members.mayEject(member);
      member.leave(admitted, outcome, clock.now(), random(), mayOpen);
      if (member.leaving && member.users === 0) void this.#members.shut(member);
      this.#waiters.wake();
    };
    return { id, connection: member.connection, release };
  }

  #wait(): Promise<Selected<C>> {
    const { waitTimeoutMs: waitMs, waitersMax } = this.#settings;
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        end();
        const cause = this.#members.openError;
        const busy = new MillraceError('MILLRACE_POOL_BUSY', { waitMs }, { cause });
        reject(this.#members.isClosed ? new MillraceError('MILLRACE_POOL_CLOSED', {}) : busy);
      };
      const go = (): boolean => {
        const selected = this.#members.isClosed ? undefined : this.#take();
        if (selected) {
          end();
          resolve(selected);
        } else if (this.#members.isClosed) fail();
        return selected !== undefined || this.#members.isClosed;
      };
      let end = () => {};
      if (this.#waiters.count >= waitersMax || waitMs === 0) return fail();
      const leave = this.#waiters.join('', go);
      const cancel = this.#world.after(waitMs, fail);
      end = () => {
        leave();
        cancel();
      };
      this.#grow();
    });
  }

  /** Somebody waits: nobody waits for the next look at the load. */
  #grow(): void {
    const { open, enableAutoScaling, maxConnections } = this.#settings;
    const { size, opening } = this.#members;
    if (!open || size >= maxConnections || opening >= this.#waiters.count) return;
    if (!enableAutoScaling && size > 0) return;
    this.#scale.adopt(Math.max(this.#scale.size, size + 1));
    this.#members.open().catch(() => {});
  }

  #tickLater(): void {
    const ms = Math.min(TICK_MS, this.#settings.healthCheckIntervalMs);
    this.#cancelTick = this.#world.after(ms, () => {
      this.#tick();
      this.#tickLater();
    });
  }

  #tick(): void {
    const members = this.#members.all;
    const inUse = members.filter(({ users }) => users > 0).length;
    const isWell = members.length === 0 || members.some(({ isOut }) => !isOut);
    this.#scale.tick(inUse, this.#waiters.count, this.#world.clock.now(), isWell);
    this.#members.retire(this.#target);
    this.#members.check();
    this.#members.fill(this.#target);
    // A circuit's time may be over.
    this.#waiters.wake();
  }
}
