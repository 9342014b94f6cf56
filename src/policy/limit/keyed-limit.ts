/**
 * One rule for many keys, in a bounded table. A key's words are looked up once and then known; where they have moved, they are found again. What happens
 * to a key that finds no room is the operator's choice: it shares the crowd's words with all others like it (their limit together is that of one key), or passes, or is refused.
 */
import { must } from '../../must.ts';
import type { WhenFullName } from '../../options/names.ts';
import { type HashHalves, hashKey } from './key-hash.ts';
import type { Algorithm, LimitWords } from './limit-words.ts';

export type WhenFull = WhenFullName;

/** A key, resolved: kept by whoever asks for it again. */
export interface Subject extends HashHalves {
  readonly rule: number;
  readonly tier: number;
  at: number;
  tag: number;
}

/** The table, as memory/limit-table.ts is one. */
export interface LimitSlots extends LimitWords {
  readonly slots: number;
  readonly seed: number;
  used(): number;
  find(key: Subject): boolean;
  holds(key: Subject): boolean;
  tierAt(at: number): number;
  refused(key: Subject): void;
  makeRoom(key: Subject, isIdle: (rule: number, at: number) => boolean): number;
  sweep(from: number, count: number, isIdle: (rule: number, at: number) => boolean): number;
}

/** Charges that went to a slot which another key got meanwhile: that needs a sweep in the middle of each. */
const MOVES_MAX = 16;
const REFUSED = -1;

export class KeyedLimit {
  readonly algorithm: Algorithm;
  readonly #slots: LimitSlots;
  readonly #rule: number;
  readonly #tier: number;
  readonly #crowd: number;
  readonly #whenFull: WhenFull;
  readonly #isIdle: (rule: number, at: number) => boolean;
  #nowMs = 0;
  #cursor = 0;
  #crowded = 0;

  /** `crowd`: words for those that find no room. Keys of other rules in the table are left alone where `others` says what is idle for them. */
  constructor(parts: {
    readonly algorithm: Algorithm;
    readonly slots: LimitSlots;
    readonly rule: number;
    /** Of several limits under one rule. */
    readonly tier?: number;
    readonly crowd: number;
    readonly whenFull: WhenFull;
    others?(rule: number, at: number, nowMs: number): boolean;
  }) {
    this.algorithm = parts.algorithm;
    this.#slots = parts.slots;
    this.#rule = parts.rule;
    this.#tier = parts.tier ?? 0;
    this.#crowd = parts.crowd;
    this.#whenFull = parts.whenFull;
    this.#isIdle = (rule, at) => {
      const isOurs = rule === parts.rule && this.#slots.tierAt(at) === this.#tier;
      if (isOurs) return this.algorithm.isIdle(this.#slots, at, this.#nowMs);
      return parts.others?.(rule, at, this.#nowMs) ?? false;
    };
  }

  /** Calls that found no room. */
  get crowded(): number {
    return this.#crowded;
  }

  subject(key: string): Subject {
    const subject = { rule: this.#rule, high: 0, low: 0, at: -1, tag: 0, tier: this.#tier };
    hashKey(key, this.#slots.seed, subject);
    return subject;
  }

  take(subject: Subject, cost: number, nowMs: number): boolean {
    const slots = this.#slots;
    // What nearly always is: the key's words are known, and stay its own.
    if (slots.find(subject)) {
      const taken = this.algorithm.take(slots, subject.at, cost, nowMs);
      if (slots.holds(subject)) {
        if (!taken) slots.refused(subject);
        return taken;
      }
    }
    return this.#takeAnew(subject, cost, nowMs);
  }

  /** Apart from `take`: a closure there would cost every call an allocation. */
  #takeAnew(subject: Subject, cost: number, nowMs: number): boolean {
    const { algorithm } = this;
    const take = (at: number) => (algorithm.take(this.#slots, at, cost, nowMs) ? 0 : REFUSED);
    return this.#takeElsewhere(subject, nowMs, take) !== REFUSED;
  }

  /** Takes the cost and says when its turn comes, in milliseconds from now; -1: it takes nothing. The algorithm must be one that paces. */
  pace(subject: Subject, cost: number, nowMs: number): number {
    const { algorithm } = this;
    const take = (at: number) => algorithm.pace?.(this.#slots, at, cost, nowMs) ?? REFUSED;
    return this.#takeElsewhere(subject, nowMs, take);
  }

  /** `take`: from the words it is told; 0 or more, or REFUSED. */
  #takeElsewhere(subject: Subject, nowMs: number, take: (at: number) => number): number {
    const slots = this.#slots;
    for (let moves = 0; moves < MOVES_MAX; moves++) {
      if (!slots.find(subject) && !this.#room(subject, nowMs)) break;
      const taken = take(subject.at);
      if (!slots.holds(subject)) continue;
      if (taken === REFUSED) slots.refused(subject);
      return taken;
    }
    this.#crowded++;
    if (this.#whenFull !== 'crowd') return this.#whenFull === 'admit' ? 0 : REFUSED;
    return take(this.#crowd);
  }

  /** Where the key's words lie, or those of the crowd; undefined where a key without room is not counted. */
  locate(subject: Subject, nowMs: number): { at: number; tag: number } | undefined {
    if (this.#slots.find(subject) || this.#room(subject, nowMs)) return subject;
    return this.#whenFull === 'crowd' ? { at: this.#crowd, tag: 0 } : undefined;
  }

  /** Takes the cost whether or not it is there. Of a key without room nothing is counted. */
  charge(subject: Subject, cost: number, nowMs: number): void {
    const slots = this.#slots;
    for (let moves = 0; moves < MOVES_MAX; moves++) {
      if (!slots.find(subject)) return;
      this.algorithm.charge(slots, subject.at, cost, nowMs);
      if (slots.holds(subject)) return;
    }
  }

  /** What was taken and not used. Of a key that has lost its slot meanwhile nothing is left to give. */
  give(subject: Subject, cost: number, nowMs: number): void {
    if (this.#slots.holds(subject)) this.algorithm.give(this.#slots, subject.at, cost, nowMs);
  }

  waitMs(subject: Subject, cost: number, nowMs: number): number {
    const at = this.#slots.holds(subject) ? subject.at : this.#crowd;
    return this.algorithm.waitMs(this.#slots, at, cost, nowMs);
  }

  remaining(subject: Subject, nowMs: number): number {
    if (!this.#slots.holds(subject)) return this.algorithm.capacity;
    return this.algorithm.remaining(this.#slots, subject.at, nowMs);
  }

  resetMs(subject: Subject, nowMs: number): number {
    if (!this.#slots.holds(subject)) return 0;
    return this.algorithm.resetMs(this.#slots, subject.at, nowMs);
  }

  /** The key as if it had never come. */
  reset(subject: Subject): void {
    const slots = this.#slots;
    if (!slots.find(subject)) return;
    clearLimit(slots, subject.at);
  }

  /** Looks at the next `count` slots and frees those whose keys have all of their capacity again. Returns how many. */
  sweep(count: number, nowMs: number): number {
    this.#nowMs = nowMs;
    const freed = this.#slots.sweep(this.#cursor, count, this.#isIdle);
    this.#cursor = (this.#cursor + count) % this.#slots.slots;
    return freed;
  }

  #room(subject: Subject, nowMs: number): boolean {
    this.#nowMs = nowMs;
    return this.#slots.makeRoom(subject, this.#isIdle) > 0 && this.#slots.find(subject);
  }
}

/** A limit as nobody used it. */
export function clearLimit(words: LimitWords, at: number): void {
  for (const word of [at, at + 1]) clear(words, word);
  const log = words.logAt(at);
  for (let word = log; word < log + words.logWords; word++) clear(words, word);
}

/** A word as nobody used it. */
function clear(words: LimitWords, at: number): void {
  for (let tries = 0; ; tries++) {
    const seen = words.load(at);
    if (seen === 0 || words.compareAndSet(at, seen, 0)) return;
    must(tries < 1_000_000, 'a word that never stands still');
  }
}
