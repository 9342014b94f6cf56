/**
 * What memory/ promises to the threads, as types. `layout.ts` says where the words lie; ring.ts, slab.ts, session-cells.ts,
 * thread-cells.ts, upstream-table.ts, counters.ts, signal.ts and ledger.ts keep these promises.
 *
 * A view of shared memory (a ring payload, a slab piece) never goes to a decoder: no `TextDecoder`, `toString`, `JSON.parse` of
 * it, no codec. Another thread may write there as soon as it is given back, and decoding memory that changes segfaults Node 20
 * and 22. Pass the bytes to a socket, or copy them (`Uint8Array.prototype.slice`, `Buffer.copy`) and decode the copy.
 */

/** Memory that several threads see. Outside memory/ it is only passed on, never looked into. */
export type SharedBytes = SharedArrayBuffer;

/** A record's header, as plain numbers. One object is reused: copy what you keep. */
export interface RecordHeader {
  length: number;
  kind: number;
  flags: number;
  slot: number;
  generation: number;
  stream: number;
  sequence: number;
  aux0: number;
  aux1: number;
}

/** The writing end of a ring. One thread, one owner. */
export interface RingProducer {
  /** Largest payload one record can have (a quarter of the capacity). Larger ones go through the slab. */
  readonly payloadBytesMax: number;
  /** Payload bytes that `reserve` would give now. A hint: it only grows until this thread writes. */
  free(): number;
  /**
   * Borrow space for a payload of up to `max` bytes, or undefined when it is not free now (then `starved` is set and the
   * consumer will ring back). The view lies in shared memory: write bytes, never decode or keep it. Void after `commit`.
   */
  reserve(max: number): Uint8Array | undefined;
  /** Publishes the reserved record with its actual length (0 is legal) and wakes the reader if it said it sleeps. */
  commit(header: Readonly<RecordHeader>): void;
  /** Forgets the reservation. */
  abandon(): void;
  /** reserve + copy + commit. False when there is no space. */
  write(header: Readonly<RecordHeader>, payload: Uint8Array): boolean;
}

/** The reading end of a ring. */
export interface RingConsumer {
  /**
   * Hands out at most `most` records in order. `payload` is a view of shared memory that is valid until the callback returns:
   * pass it to a socket or copy it; NEVER to a text decoder (a decode of memory another thread may write segfaults Node 20).
   * The space is given back after the last callback of the call, by one store, or earlier when a quarter of the ring is read.
   * Returns how many were handed out. A throw in the callback still frees what was read, then propagates.
   */
  drain(most: number, each: (header: RecordHeader, payload: Uint8Array) => void): number;
  /**
   * As `drain`, in two steps, for a reader that regroups a batch before use: the views of all records of the batch stay valid
   * until `release()`.
   */
  take(most: number, each: (header: RecordHeader, payload: Uint8Array) => void): number;
  release(): void;
  /** True when a record is waiting. */
  ready(): boolean;
  /**
   * Says "I sleep": true when nothing came in between and the next commit will ring the bell; false when a record is already
   * there (drain again).
   */
  sleep(): boolean;
  /** Says "I am awake": no bells needed. */
  wake(): void;
}

/** A bell between two threads. Over a MessagePort in the engine; a callback in the one-thread simulation. */
export interface Bell {
  ring(): void;
}

/** A shared slab for payloads too large for a ring record: 64 KiB blocks, claimed by any thread, freed by whoever consumes. */
export interface Slab {
  readonly bytes: number;
  /** Claims space for `length` bytes in `owner`'s name (thread row generation), or undefined when there is none now. */
  claim(length: number, owner: number): Ticket | undefined;
  /** A view of the claimed bytes. Same rules as a ring payload. */
  view(ticket: Ticket): Uint8Array;
  /** Gives the blocks back. Once. */
  free(ticket: Ticket): void;
  /** Frees everything still claimed in the name of a dead thread's generation. Returns the blocks freed. */
  sweep(owner: number): number;
  /** Blocks claimed now. */
  taken(): number;
}

/** Names a claimed piece of the slab: fits one 32-bit word (first block) and one more (length). */
export interface Ticket {
  readonly block: number;
  readonly length: number;
}

/** Shared rows of the sessions: credit and generation. */
export interface SessionCells {
  readonly sessionsMax: number;
  /**
   * main: the slot now belongs to this generation. `sent` keeps running (a late record of the former session is still accounted);
   * the limit becomes `sent` + `creditBytes`.
   */
  open(slot: number, generation: number, creditBytes: number): void;
  /** main: nobody may write to the slot. */
  close(slot: number): void;
  /** worker: does this generation still hold the slot? */
  holds(slot: number, generation: number): boolean;
  /** worker: bytes that may still be put into rings for the slot; may be negative by one frame. */
  credit(slot: number): number;
  /** worker: `bytes` went into a ring for the slot. */
  spend(slot: number, bytes: number): void;
  /**
   * main: `taken` (free-running, all bytes it took out of rings for the slot) and `buffered` (in the socket now) decide
   * the new limit. True when a worker waits and should get a `credit` record.
   */
  grant(slot: number, taken: number, buffered: number, watermark: number): boolean;
  /** main: free-running bytes put into rings for the slot. `open` does not reset it. */
  sent(slot: number): number;
  /** worker: I have something for this session and no credit. True when credit came meanwhile. */
  await(slot: number): boolean;
}

/** Rows of the threads: who lives. */
export interface ThreadCells {
  generation(row: number): number;
  /** main: a new incarnation takes the row. Returns its generation. */
  renew(row: number): number;
  state(row: number): number;
  setState(row: number, state: number): void;
  /** The thread itself: one more turn. */
  beat(row: number): void;
  beats(row: number): number;
  inCodec(row: number): boolean;
  setInCodec(row: number, inside: boolean): void;
  /** main: new turns are refused for this reason (0 = they are not); read by workers. A worker says of itself the same, for main to read. */
  refusing(row: number): number;
  setRefusing(row: number, why: number): void;
}

/** The upstream table (board): written by the coordinator, read by everyone. */
export interface UpstreamTable {
  readonly upstreamsMax: number;
  readonly workersMax: number;
  epoch(): number;
  /** Plain read of the epoch: perhaps an older one, and nothing else is ordered after it. */
  glance(): number;
  /** coordinator: publishes what it changed. */
  bump(): void;
  /** Plain read of a word of an upstream's row (`UpstreamWord`). */
  get(upstream: number, word: number): number;
  set(upstream: number, word: number, value: number): void;
  /** anyone: swaps a word of an upstream's row if it still is `expected`. */
  compareAndSet(upstream: number, word: number, expected: number, value: number): boolean;
  /** anyone: adds to a word of an upstream's row. Returns the new value. */
  add(upstream: number, word: number, n: number): number;
  /** anyone: the circuit of an upstream for a model's number there. The same object each time. */
  circuit(upstream: number, model: number): CircuitCell;
  /** main: the row belongs to another upstream from here on; no stream of the former one runs. */
  clearCircuits(upstream: number): void;
  /** anyone: until when a key of an upstream is left alone; 0 = it may be used. */
  keyRest(upstream: number, key: number): number;
  setKeyRest(upstream: number, key: number, until: number): void;
  /** coordinator: the upstream's keys are others from here on. */
  clearKeys(upstream: number): void;
  /** Streams running at an upstream, over all workers. */
  inFlight(upstream: number): number;
  /** The same for several at once, in their order. */
  inFlightOf(upstreams: readonly number[], into: Float64Array): void;
  weight(upstream: number): number;
  /** worker: a stream starts / ends at an upstream. */
  acquire(upstream: number, worker: number): void;
  /** worker: the same, unless as many streams run as the upstream has capacity for. Exact over all threads. */
  tryAcquire(upstream: number, worker: number): boolean;
  release(upstream: number, worker: number, succeeded: boolean): void;
  /** Reads a word of the (upstream, worker) row (`ShareWord`). */
  share(upstream: number, worker: number, word: number): number;
  /** worker: writes a word of its own row (firstTokenUs, firstTokenAt). */
  setShare(upstream: number, worker: number, word: number, value: number): void;
  /** worker: a new incarnation takes its rows. coordinator/main: a dead worker's rows are zeroed once, if still of that generation. */
  claim(worker: number, generation: number): void;
  reclaim(worker: number, generation: number): boolean;
}

/** The shared words of one circuit. */
export interface CircuitCell {
  load(word: number): number;
  store(word: number, value: number): void;
  /** Swaps the word if it still is `expected`. */
  compareAndSet(word: number, expected: number, value: number): boolean;
  /** Returns the new value. */
  add(word: number, n: number): number;
}

/** Counts of one thread: plain numbers in its own block, read by main at scrape. */
export interface CounterBlock {
  /** Adds to the counter at an index that `observe/metrics` resolved once. */
  add(index: number, n?: number): void;
  set(index: number, value: number): void;
  get(index: number): number;
  /** Puts a value into a histogram: `index` is its first bucket, `bounds` its upper bounds. */
  observe(index: number, bounds: Float64Array, value: number): void;
}

/** What the ledger keeps account of. */
export const ledgerAccounts = ['rings', 'outbox', 'replay', 'history', 'retained'] as const;
export type LedgerAccount = (typeof ledgerAccounts)[number];

/** One account of all bytes held for clients, over all threads. */
export interface Ledger {
  /** Books bytes; false (and nothing booked) when the total would pass the bound. */
  take(account: LedgerAccount, bytes: number): boolean;
  give(account: LedgerAccount, bytes: number): void;
  /** Another bound for the total, for what this thread takes from now on. */
  bound(totalMax: number): void;
  held(account: LedgerAccount): number;
  total(): number;
}

/** Who is limited, resolved: a caller keeps one of these for each of its keys, and the table writes into it where it found the key. */
export interface LimitKey {
  /** Which rule its words are for: 0 to 15. */
  readonly rule: number;
  /** 64 bits of a keyed hash of what it stands for. */
  readonly high: number;
  readonly low: number;
  /** Where its two words lie; -1 = not looked up yet. */
  at: number;
  /** What the slot's first word has to be for `at` to be true. */
  tag: number;
  /** Which of its rule's limits it has; absent: 0. Keys of different tiers differ in their hashes. */
  readonly tier?: number;
}

/** Says whether two words hold nothing that fresh ones would not say, so that their slot may be another key's. */
export type IsIdle = (rule: number, at: number) => boolean;

/** Words of shared limits by hashed key, bounded. Any thread may do anything here. */
export interface LimitTable {
  readonly slots: number;
  /** Slots that hold a key now. */
  used(): number;
  /** The table's own random number: begins the hash of each key. */
  readonly seed: number;
  load(at: number): number;
  /** May be old: for a word that `compareAndSet` confirms. */
  peek(at: number): number;
  compareAndSet(at: number, expected: number, value: number): boolean;
  /** Words beside the two of each limit, for an exact log. */
  readonly logWords: number;
  /** Where those of the limit at `at` begin: the first word of a slot, or of either half of a row. */
  logAt(at: number): number;
  /** The words of a fixed row of its own cache line: for limits that have no key. */
  row(index: number): number;
  /** Finds the key's slot, or gives it one with fresh words. False: there is no room where it may lie. */
  find(key: LimitKey): boolean;
  /** After the words changed: were they still this key's? If not, nothing was taken from it: find it again. */
  holds(key: LimitKey): boolean;
  /** Which tier the key has whose words these are. */
  tierAt(at: number): number;
  /** Counts a refusal of the key. */
  refused(key: LimitKey): void;
  /** Frees idle slots where this key may lie. Returns how many. */
  makeRoom(key: LimitKey, isIdle: IsIdle): number;
  /** Frees idle slots among `count` from slot `from` on. Returns how many. */
  sweep(from: number, count: number, isIdle: IsIdle): number;
  /**
   * The thread that opened the table as `owner` (1 to 255) has ended: what it had begun to claim is free again. Only for a thread that can write no more. Returns how many
   * slots.
   */
  disown(owner: number): number;
  /** All keys there are now. `refusals`: since it got its slot. */
  each(visit: (key: Required<LimitKey>, refusals: number) => void): void;
}

/** What a worker's streams have set aside of shared limits. */
export interface ReservationBook {
  /** An entry of this worker's; -1: the book is full. */
  open(
    worker: number,
    generation: number,
    at: number,
    tag: number,
    kind: number,
    amount: number,
  ): number;
  /** What would be given back now. Of an entry that is another's nothing changes. */
  left(entry: number, generation: number, amount: number): void;
  /** Is it still that incarnation's? */
  holds(entry: number, generation: number): boolean;
  /** True: it was still that incarnation's, and the caller gives back what is left. */
  close(entry: number, generation: number): boolean;
  /** Frees what a dead incarnation held, and hands it out to be given back. Returns how many entries. */
  reclaim(
    worker: number,
    generation: number,
    give: (at: number, tag: number, kind: number, amount: number) => void,
  ): number;
  /** Entries that are not free. */
  held(worker: number): number;
}
