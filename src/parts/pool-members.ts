/** The connections of a pool: opened, joined, checked, replaced and closed. Who gets one is the pool's business. */
import { MillraceError } from '../errors.ts';
import {
  type Admitted,
  abstained,
  admit,
  Circuit,
  type CircuitCell,
  type CircuitRules,
  circuitState,
  failed,
  succeeded,
  wouldAdmit,
} from '../policy/circuit.ts';
import { mayEject } from '../policy/ejection.ts';
import { LoadBalancer, type Picked } from './load-balancer.ts';
import type { PoolSettings, PoolWorld } from './pool-config.ts';

const CELL_WORDS = 6;

/** The words of a circuit that only one thread sees. */
function privateCell(): CircuitCell {
  const words = new Int32Array(CELL_WORDS);
  return {
    load: (word) => words[word],
    store: (word, value) => void (words[word] = value),
    compareAndSet: (word, expected, value) => {
      if (words[word] !== expected) return false;
      words[word] = value;
      return true;
    },
    add: (word, n) => (words[word] += n),
  };
}

const JITTER_SHARE = 0.1;
const ejection = { ejectedShareMax: 0.8, panicShare: 0 };

/** One connection: who uses it, how its uses went, and when it goes. */
export class PoolMember<C> {
  readonly id: string;
  /** Never used for another one. */
  readonly number: number;
  readonly connection: C;
  /** When it has lived long enough. */
  readonly oldMs: number;
  users = 0;
  usedMs: number;
  checkMs: number;
  /** Out of the pool; closed when its last user has gone. */
  leaving = false;
  readonly #cell = privateCell();
  readonly #rules: CircuitRules;

  constructor(
    number: number,
    connection: C,
    rules: CircuitRules,
    times: { readonly nowMs: number; readonly oldMs: number; readonly checkMs: number },
  ) {
    this.id = `conn-${number}`;
    this.number = number;
    this.connection = connection;
    this.#rules = rules;
    this.usedMs = times.nowMs;
    this.oldMs = times.oldMs;
    this.checkMs = times.checkMs;
  }

  get isOut(): boolean {
    return circuitState(this.#cell) !== Circuit.closed;
  }

  admits(nowMs: number): boolean {
    return !this.leaving && wouldAdmit(this.#cell, this.#rules, nowMs | 0);
  }

  enter(nowMs: number): Admitted {
    this.users++;
    return admit(this.#cell, this.#rules, nowMs | 0) ?? { version: -1, probe: false };
  }

  /** `mayOpen`: whether its circuit may take it out, should it come to that. */
  leave(
    admitted: Admitted,
    outcome: 'good' | 'failed' | 'neither',
    nowMs: number,
    chance: number,
    mayOpen: () => boolean,
  ): void {
    this.users--;
    this.usedMs = nowMs;
    if (outcome === 'good') succeeded(this.#cell, admitted, nowMs | 0);
    else if (outcome === 'neither') abstained(this.#cell, admitted);
    else failed(this.#cell, this.#rules, admitted, nowMs | 0, chance, mayOpen);
  }
}

export class PoolMembers<C> {
  readonly counts = { opened: 0, closed: 0, openFailures: 0, selected: 0, failed: 0 };
  /** Why the last attempt to open one failed; undefined: it did not. */
  openError: unknown;
  isClosed = false;
  readonly #settings: PoolSettings<C>;
  readonly #rules: CircuitRules;
  readonly #world: PoolWorld;
  readonly #balancer: LoadBalancer<PoolMember<C>>;
  readonly #members = new Map<string, PoolMember<C>>();
  readonly #closing = new Set<Promise<void>>();
  readonly #room: () => void;
  #numbers = 0;
  #opening = 0;

  /** `room`: somebody who waits may find a connection now. */
  constructor(settings: PoolSettings<C>, rules: CircuitRules, world: PoolWorld, room: () => void) {
    this.#settings = settings;
    this.#rules = rules;
    this.#world = world;
    this.#room = room;
    const { random, clock } = world;
    const strategy = settings.loadBalanceStrategy;
    this.#balancer = new LoadBalancer({ strategy, random, clock: () => clock.now() });
  }

  /** Open, used or not. */
  get all(): PoolMember<C>[] {
    return [...this.#members.values()];
  }
  get opening(): number {
    return this.#opening;
  }
  /** Open or about to be. */
  get size(): number {
    return this.#members.size + this.#opening;
  }

  get(id: string): PoolMember<C> | undefined {
    return this.#members.get(id);
  }

  /** Numbers of those that may be used now. */
  usable(): number[] {
    const nowMs = this.#world.clock.now();
    return this.all.filter((each) => this.#hasRoom(each, nowMs)).map(({ number }) => number);
  }

  /** The next one with room; `among`: numbers. */
  take(among?: ReadonlySet<number>): Picked<PoolMember<C>> | undefined {
    const nowMs = this.#world.clock.now();
    return this.#balancer.select((id) => {
      const member = this.#members.get(id) as PoolMember<C>;
      return (among?.has(member.number) ?? true) && this.#hasRoom(member, nowMs);
    });
  }

  /** May this one be taken out, beside those that are? */
  mayEject(member: PoolMember<C>): boolean {
    const out = this.all.filter((other) => other !== member && other.isOut).length;
    return mayEject(ejection, this.#members.size, out);
  }

  join(connection: C, weight: number): PoolMember<C> {
    const { clock, random } = this.#world;
    const { ageMsMax, healthCheckIntervalMs } = this.#settings;
    const nowMs = clock.now();
    const jitter = 1 - JITTER_SHARE * random();
    const oldMs = ageMsMax === 0 ? Infinity : nowMs + ageMsMax * jitter;
    const times = { nowMs, oldMs, checkMs: nowMs + healthCheckIntervalMs * jitter };
    const member = new PoolMember(++this.#numbers, connection, this.#rules, times);
    this.#members.set(member.id, member);
    this.#balancer.add(member.id, member, { weight });
    this.counts.opened++;
    this.#room();
    return member;
  }

  async open(weight = 1): Promise<PoolMember<C>> {
    const { open, close } = this.#settings;
    this.#opening++;
    try {
      const connection = (await open?.()) as C;
      this.openError = undefined;
      if (!this.isClosed) return this.join(connection, weight);
      await close?.(connection);
    } catch (thrown) {
      this.openError = thrown;
      this.counts.openFailures++;
      throw thrown;
    } finally {
      this.#opening--;
    }
    throw new MillraceError('MILLRACE_POOL_CLOSED', {});
  }

  /** As many as there should be. */
  fill(target: number): void {
    if (!this.#settings.open || this.isClosed) return;
    for (let n = this.size; n < target; n++) this.open().catch(() => {});
  }

  /** Out of the pool; closed at once, or with its last user. */
  drop(member: PoolMember<C>): Promise<void> {
    member.leaving = true;
    this.#members.delete(member.id);
    this.#balancer.remove(member.id);
    return member.users === 0 ? this.shut(member) : Promise.resolve();
  }

  shut({ connection }: PoolMember<C>): Promise<void> {
    this.counts.closed++;
    const closed = Promise.resolve()
      .then(() => this.#settings.close?.(connection))
      // Whatever it says, it is gone for us.
      .catch(() => {})
      .then(() => void this.#closing.delete(closed));
    this.#closing.add(closed);
    return closed;
  }

  /** Of those that nobody uses: the old, and those above `target`, at once where the pool scales, else when nobody used them for long. What was given by hand stays. */
  retire(target: number): void {
    const nowMs = this.#world.clock.now();
    const { enableAutoScaling, idleTimeoutMs, open } = this.#settings;
    if (!open) return;
    const idle = this.all.filter(({ users }) => users === 0);
    for (const member of idle.toSorted((a, b) => a.usedMs - b.usedMs)) {
      const isForgotten = idleTimeoutMs > 0 && nowMs - member.usedMs >= idleTimeoutMs;
      const isSpare = this.#members.size > target && (enableAutoScaling || isForgotten);
      if (isSpare || member.oldMs <= nowMs) void this.drop(member);
    }
  }

  /** Those whose time has come; a bad one leaves. */
  check(): void {
    const nowMs = this.#world.clock.now();
    const { check, healthCheckIntervalMs } = this.#settings;
    for (const member of this.all) {
      if (!check || member.checkMs > nowMs) continue;
      const share = 1 + JITTER_SHARE * (2 * this.#world.random() - 1);
      member.checkMs = nowMs + healthCheckIntervalMs * share;
      const bad = (): void => {
        if (!member.leaving) void this.drop(member);
      };
      void Promise.resolve()
        .then(() => check(member.connection))
        .then((good) => (good ? undefined : bad()), bad);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const member of this.all) void this.drop(member);
    while (this.#closing.size > 0) await Promise.allSettled(this.#closing);
  }

  #hasRoom(member: PoolMember<C>, nowMs: number): boolean {
    return member.users < this.#settings.usersPerConnectionMax && member.admits(nowMs);
  }
}
