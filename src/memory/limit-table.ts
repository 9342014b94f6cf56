/**
 * The words of shared limits: bounded, open addressing, no locks. What the words mean stands in policy/limit/.
 *
 *     ┌ head, 64 B: magic · rows · slots · used · seed ─────────────┐
 *     ├ rows of 64 B: limits without a key (a few) ─────────────────┤     each the two words of one limit
 *     ├ slots of 32 B ──────────────────────────────────────────────┤
 *     │ tag │ high │ low │ word 0 │ word 1 │ refusals │tier│ ·      │     a key lies in one of PROBES slots from where its hash says
 *     ├ logs of so many words: one for each slot, two for each row ─┤     none, unless an exact log was asked for
 *     └─────────────────────────────────────────────────────────────┘
 *     tag:  hash, 10 bits │ generation, 8 │ rule, 4 │ mark, 8 │ state, 2         mark: of a claim who made it, else how often it was swept
 *
 * Who writes: every thread, all words by atomic operations; `high`, `low` and `tier` by whoever claims the slot, before it opens it. Who reads: every thread.
 * Which word orders it: `tag`.
 *
 *     free ──▶ claimed ──▶ open ◀──▶ sweeping ──▶ free        (every arrow is a compare-and-swap; claiming starts a new generation)
 *                 └───▶ free (another has the same key, or its thread is gone)
 *
 * One key, one slot: whoever claims looks at all PROBES slots *after* its claim can be seen. Of two that claim for one key at once each sees the other, or one
 * of them is open already: the one in the higher slot withdraws, the one in the lower waits for that; a bounded time, for the other may have died. Whoever has withdrawn gives the
 * other about a millisecond to open; a thread that was stopped just then for longer makes this one's key one without room, for as long as it stands still.
 *
 * A claim belongs to its thread until that opens it or withdraws, however long it takes: nobody can tell a thread that was stopped in the middle from a dead one, and it still
 * writes. So a sweep leaves claims alone; the claims of a thread that has ended are freed by whoever knows that it has (`disown`). Where nobody does, a thread killed in that
 * moment costs one slot.
 *
 * Nothing is lost to a sweep: a taker changes its words and *then* looks at the tag; the sweeper marks the tag and *then* looks at the words. So one of them sees the other. A taker that
 * finds the mark puts the slot back to open, and its change counts; if it comes too late for that, its change went to a slot that is free, and it takes again elsewhere. A change that goes
 * to a slot another key has got meanwhile takes one permit too many from that key, never too few.
 */
import { must } from '../must.ts';
import { type AtomicsPort, plainAtomics, realAtomics } from './atomics.ts';
import type { IsIdle, LimitKey, LimitTable, SharedBytes } from './contract.ts';
import { LIMIT_ROW_WORDS, LIMIT_SLOT_WORDS, LimitHead, LimitSlotWord } from './layout.ts';
import { LOGS_PER_ROW, MAGIC, PROBES, prepare, wordsFor } from './limit-table-head.ts';

/** How often a claimer looks whether its rival has gone. */
const LOOKS_MAX = 10_000;
/** `probes`: slots that a key may lie in. */
const bounds = { probes: PROBES, looksMax: LOOKS_MAX };
/** Answers of a search that are no slots. */
const FOUND = -1;
const NO_ROOM = -2;

const State = { free: 0, claimed: 1, open: 2, sweeping: 3 } as const;
const STATE = 0b11;
const MARK_ONE = 1 << 2;
const MARK_SHIFT = 2;
const MARK_MAX = 0xff;
const MARK = MARK_MAX << MARK_SHIFT;
const RULE_SHIFT = 10;
const RULE = 0b1111 << RULE_SHIFT;
const GENERATION_ONE = 1 << 14;
const GENERATION = 0xff << 14;
const HASH_SHIFT = 22;
const HASH = 0x3ff << HASH_SHIFT;

/** `logWords`: see LimitTable. What nobody writes to takes no memory. */
export function allocateLimitTable(
  slots: number,
  rows: number,
  seed: number,
  logWords = 0,
): SharedBytes {
  const shared = new SharedArrayBuffer(4 * wordsFor(slots, rows, logWords));
  prepare(new Int32Array(shared), { slots, rows, seed, logWords });
  return shared;
}

/** `owner`: see LimitTable.disown. `smaller`: for searches of interleavings, where each look is a step. */
export function openLimitTable(
  shared: SharedBytes,
  owner = 0,
  atomics: AtomicsPort = realAtomics,
  smaller = bounds,
): LimitTable {
  const words = new Int32Array(shared);
  return atomics === realAtomics
    ? new SharedTable(words, owner, atomics, smaller)
    : new Table(words, owner, atomics, smaller);
}

/** Words of a table that one thread has alone, for `openPrivateLimitTable`. */
export function privateLimitWords(
  slots: number,
  rows: number,
  seed: number,
  logWords = 0,
): Int32Array {
  const words = new Int32Array(wordsFor(slots, rows, logWords));
  prepare(words, { slots, rows, seed, logWords });
  return words;
}

export function openPrivateLimitTable(words: Int32Array): LimitTable {
  return new Table(words, 0, plainAtomics, bounds);
}

/** The same table for several threads from here on; handles of its keys stay true. */
export function publishLimitWords(words: Int32Array): SharedBytes {
  const shared = new SharedArrayBuffer(words.byteLength);
  new Int32Array(shared).set(words);
  return shared;
}

class Table implements LimitTable {
  readonly slots: number;
  readonly seed: number;
  readonly logWords: number;
  protected readonly words: Int32Array;
  readonly #atomics: AtomicsPort;
  readonly #looksMax: number;
  readonly #probes: number;
  readonly #rows: number;
  readonly #from: number;
  readonly #logs: number;
  readonly #mine: number;

  constructor(
    words: Int32Array,
    owner: number,
    atomics: AtomicsPort,
    { probes, looksMax }: typeof bounds,
  ) {
    must(owner >= 0 && owner <= MARK_MAX, 'an owner is a number up to 255');
    must(words[LimitHead.magic] === MAGIC, 'no limit table');
    this.slots = words[LimitHead.slots];
    this.seed = words[LimitHead.seed];
    this.logWords = words[LimitHead.logWords];
    this.#rows = words[LimitHead.rows];
    must(words.length === wordsFor(this.slots, this.#rows, this.logWords), 'no limit table');
    this.#from = LimitHead.words + this.#rows * LIMIT_ROW_WORDS;
    this.#logs = this.#from + this.slots * LIMIT_SLOT_WORDS;
    this.#mine = owner << MARK_SHIFT;
    this.words = words;
    this.#atomics = atomics;
    this.#looksMax = looksMax;
    this.#probes = probes;
  }

  used(): number {
    return this.#atomics.load(this.words, LimitHead.used);
  }

  load(at: number): number {
    return this.#atomics.load(this.words, at);
  }

  peek(at: number): number {
    return this.#atomics.peek(this.words, at);
  }

  compareAndSet(at: number, expected: number, value: number): boolean {
    return this.#atomics.compareExchange(this.words, at, expected, value) === expected;
  }

  logAt(at: number): number {
    let log: number;
    if (at >= this.#from) log = Math.floor((at - this.#from) / LIMIT_SLOT_WORDS);
    else {
      const row = Math.floor((at - LimitHead.words) / LIMIT_ROW_WORDS);
      const half = ((at - LimitHead.words) % LIMIT_ROW_WORDS) >> 1;
      log = this.slots + LOGS_PER_ROW * row + half;
    }
    return this.#logs + log * this.logWords;
  }

  row(index: number): number {
    must(index >= 0 && index < this.#rows, 'a row that does not exist');
    return LimitHead.words + index * LIMIT_ROW_WORDS;
  }

  find(key: LimitKey): boolean {
    if (key.at < 0) return this.lookUp(key);
    // The quick look: `holds` looks again behind the change, and counts.
    const tag = this.#atomics.peek(this.words, key.at - LimitSlotWord.word0);
    return ((tag ^ key.tag) & ~MARK) === 0 || this.lookUp(key);
  }

  protected lookUp(key: LimitKey): boolean {
    if (key.at >= 0 && this.isOpen(key)) return true;
    for (let tries = 0; tries < this.#probes; tries++) {
      const free = this.#search(key);
      if (free === FOUND) return true;
      if (free < 0) return false;
      if (this.#claim(key, free)) return true;
      if (!this.#outlast(key)) return false;
    }
    return false;
  }

  holds(key: LimitKey): boolean {
    if (key.at < 0) return false;
    const tag = this.#atomics.load(this.words, key.at - LimitSlotWord.word0);
    return ((tag ^ key.tag) & ~MARK) === 0 || this.isOpen(key);
  }

  tierAt(at: number): number {
    return this.words[at - LimitSlotWord.word0 + LimitSlotWord.tier];
  }

  refused(key: LimitKey): void {
    this.#atomics.add(this.words, key.at - LimitSlotWord.word0 + LimitSlotWord.refusals, 1);
  }

  makeRoom(key: LimitKey, isIdle: IsIdle): number {
    return this.sweep(key.low & (this.slots - 1), this.#probes, isIdle);
  }

  sweep(from: number, count: number, isIdle: IsIdle): number {
    let freed = 0;
    for (let index = from; index < from + count; index++) {
      if (this.#sweep(this.#slot(index), isIdle)) freed++;
    }
    return freed;
  }

  disown(owner: number): number {
    must(owner > 0 && owner <= MARK_MAX, 'an owner who can be named');
    let freed = 0;
    for (let index = 0; index < this.slots; index++) {
      const slot = this.#slot(index);
      const tag = this.load(slot);
      const isTheirs = (tag & (MARK | STATE)) === ((owner << MARK_SHIFT) | State.claimed);
      if (isTheirs && this.#turn(slot, tag, State.free)) freed++;
    }
    return freed;
  }

  each(visit: (key: Required<LimitKey>, refusals: number) => void): void {
    const words = this.words;
    for (let index = 0; index < this.slots; index++) {
      const slot = this.#slot(index);
      const tag = this.load(slot);
      if ((tag & STATE) < State.open) continue;
      const at = slot + LimitSlotWord.word0;
      const high = words[slot + LimitSlotWord.high];
      const low = words[slot + LimitSlotWord.low];
      const rule = (tag & RULE) >>> RULE_SHIFT;
      const tier = words[slot + LimitSlotWord.tier];
      visit({ rule, high, low, at, tag, tier }, words[slot + LimitSlotWord.refusals]);
    }
  }

  #slot(index: number): number {
    return this.#from + (index & (this.slots - 1)) * LIMIT_SLOT_WORDS;
  }

  /** Is the slot still this key's? A sweep that has begun is called off. */
  protected isOpen(key: LimitKey): boolean {
    const slot = key.at - LimitSlotWord.word0;
    for (;;) {
      const tag = this.#atomics.load(this.words, slot);
      const differs = (tag ^ key.tag) & ~MARK;
      if (differs === 0) return true;
      if (differs !== (State.open ^ State.sweeping)) return false;
      this.compareAndSet(slot, tag, (tag & ~STATE) | State.open);
    }
  }

  /** Writes into the key where it is. Otherwise a free slot for it, or NO_ROOM. */
  #search(key: LimitKey): number {
    const words = this.words;
    const looks = (key.rule << RULE_SHIFT) | ((key.high >>> 22) << HASH_SHIFT);
    let free = NO_ROOM;
    for (let probe = 0; probe < this.#probes; probe++) {
      const slot = this.#slot(key.low + probe);
      const tag = this.#atomics.load(words, slot);
      const state = tag & STATE;
      if (state === State.free) {
        if (free === NO_ROOM) free = slot;
      } else if (state !== State.claimed && ((tag ^ looks) & (RULE | HASH)) === 0) {
        if (!this.#names(slot, key)) continue;
        key.at = slot + LimitSlotWord.word0;
        key.tag = (tag & ~STATE) | State.open;
        if (this.isOpen(key)) return FOUND;
      }
    }
    return free;
  }

  #names(slot: number, key: LimitKey): boolean {
    const words = this.words;
    return (
      words[slot + LimitSlotWord.low] === key.low && words[slot + LimitSlotWord.high] === key.high
    );
  }

  /** False: somebody else was faster, or has this key too. */
  #claim(key: LimitKey, slot: number): boolean {
    const atomics = this.#atomics;
    const words = this.words;
    const before = atomics.load(words, slot);
    const generation = (before + GENERATION_ONE) & GENERATION;
    const own = generation | (key.rule << RULE_SHIFT) | ((key.high >>> 22) << HASH_SHIFT);
    const claimed = own | this.#mine | State.claimed;
    if ((before & STATE) !== State.free || !this.compareAndSet(slot, before, claimed)) return false;
    words[slot + LimitSlotWord.high] = key.high;
    words[slot + LimitSlotWord.low] = key.low;
    words[slot + LimitSlotWord.refusals] = 0;
    words[slot + LimitSlotWord.tier] = key.tier ?? 0;
    // A late taker of the key that was here before may still write these.
    atomics.store(words, slot + LimitSlotWord.word0, 0);
    atomics.store(words, slot + LimitSlotWord.word1, 0);
    const log = this.logAt(slot + LimitSlotWord.word0);
    for (let word = log; word < log + this.logWords; word++) atomics.store(words, word, 0);
    if (this.#isElsewhere(key, slot, claimed)) {
      this.#turn(slot, claimed, State.free);
      return false;
    }
    if (!this.#turn(slot, claimed, State.open)) return false;
    atomics.add(words, LimitHead.used, 1);
    key.at = slot + LimitSlotWord.word0;
    key.tag = own | State.open;
    return true;
  }

  /** Whoever else is bringing this key (or one like it) gets the time for it. False: that takes too long, its thread was stopped in the middle. */
  #outlast(key: LimitKey): boolean {
    const alike = (key.rule << RULE_SHIFT) | ((key.high >>> 22) << HASH_SHIFT) | State.claimed;
    for (let looks = 0; looks <= this.#looksMax; looks++) {
      let probe = 0;
      while (probe < this.#probes) {
        const tag = this.#atomics.load(this.words, this.#slot(key.low + probe));
        if (((tag ^ alike) & (RULE | HASH | STATE)) === 0) break;
        probe++;
      }
      if (probe === this.#probes) return true;
    }
    return false;
  }

  /** Out of `claimed`, without its owner. False: that claim is no more. */
  #turn(slot: number, claimed: number, state: number): boolean {
    return this.compareAndSet(slot, claimed, (claimed & ~STATE & ~MARK) | state);
  }

  /** Does somebody else have the key, or get it? Looked for when our own claim can be seen. */
  #isElsewhere(key: LimitKey, mine: number, claimed: number): boolean {
    let looks = 0;
    for (let probe = 0; probe < this.#probes; ) {
      const slot = this.#slot(key.low + probe);
      const tag = this.#atomics.load(this.words, slot);
      const state = tag & STATE;
      const alike = slot !== mine && ((tag ^ claimed) & (RULE | HASH)) === 0;
      if (alike && state === State.claimed) {
        // It sees us too. Not by its key, which it may not have written yet.
        if (slot < mine || ++looks > this.#looksMax) return true;
        continue;
      }
      if (alike && state !== State.free && this.#names(slot, key)) return true;
      probe++;
    }
    return false;
  }

  /** Frees the slot if it is idle, and stays so while everyone can see that it is looked at. */
  #sweep(slot: number, isIdle: IsIdle): boolean {
    const tag = this.load(slot);
    const state = tag & STATE;
    if (state === State.free || state === State.claimed) return false;
    const rule = (tag & RULE) >>> RULE_SHIFT;
    if (!isIdle(rule, slot + LimitSlotWord.word0)) return false;
    // The mark: of two sweepers the slower one does not take a later sweep for its own.
    const marked = (tag & ~MARK & ~STATE) | ((tag + MARK_ONE) & MARK) | State.sweeping;
    if (!this.compareAndSet(slot, tag, marked)) return false;
    const next = isIdle(rule, slot + LimitSlotWord.word0) ? State.free : State.open;
    if (!this.compareAndSet(slot, marked, (marked & ~STATE) | next)) return false;
    if (next === State.free) this.#atomics.sub(this.words, LimitHead.used, 1);
    return next === State.free;
  }
}

/** What a check of a known key does, step by step as `Table` does it, without the port in between: the language's operations are compiled into the caller. */
class SharedTable extends Table {
  override load(at: number): number {
    return Atomics.load(this.words, at);
  }

  override peek(at: number): number {
    return this.words[at];
  }

  override compareAndSet(at: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.words, at, expected, value) === expected;
  }

  override find(key: LimitKey): boolean {
    const { at, tag } = key;
    if (at < 0) return this.lookUp(key);
    return ((this.words[at - LimitSlotWord.word0] ^ tag) & ~MARK) === 0 || this.lookUp(key);
  }

  override holds(key: LimitKey): boolean {
    const { at, tag } = key;
    if (at < 0) return false;
    const now = Atomics.load(this.words, at - LimitSlotWord.word0);
    return ((now ^ tag) & ~MARK) === 0 || this.isOpen(key);
  }
}
