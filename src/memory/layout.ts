/**
 * Where every shared word lies. One table, asserted at start; nobody else knows an offset.
 *
 * A record in a ring (all words 32 bit, little endian as the machine; 8-byte aligned):
 *
 *     0        4        8        12       16       20       24       28       32
 *     ├────────┼────────┼────────┼────────┼────────┼────────┼────────┼────────┼───────────┄
 *     │ length │ kind   │ slot   │ slot   │ stream │ seq    │ aux    │ aux    │ payload …
 *     │        │ flags  │        │ gen    │        │        │ 0      │ 1      │ (padded to 8)
 *     └────────┴────────┴────────┴────────┴────────┴────────┴────────┴────────┴───────────┄
 *
 * `length` is the payload's bytes without padding. `kind` is the low byte of the second word, `flags` the next
 * two. `slot` and its generation name a session; `stream` the client message a record belongs to (main counts
 * them from 1 for each process; 0 = none); `seq` is the frame's number in its stream, from 0.
 * With the flag TICKET the payload is one slab ticket and `aux0` the real length.
 */

export const RECORD_HEADER_BYTES = 32;
export const RECORD_ALIGN = 8;

/** Header words of a record, as offsets in 32-bit words from its start. */
export const Word = {
  length: 0,
  kindFlags: 1,
  slot: 2,
  generation: 3,
  stream: 4,
  sequence: 5,
  aux0: 6,
  aux1: 7,
} as const;

/** What a record is. Up = main to worker, down = worker to main. */
export const Kind = {
  /** Skip to the start of the ring (the producer's own, never seen by a reader). */
  wrap: 0,
  // up
  /** A session speaks through this worker from now on. Payload: JSON `SessionFacts`. */
  sessionOpen: 1,
  /** A client message. Payload: `MessagePrologue` (see messages.ts) and the client's bytes. */
  message: 2,
  /** The session is gone: cancel what runs, forget its lanes. aux0: its close code. Payload: the reason, UTF-8. */
  sessionClose: 3,
  /** Credit of this session rose above zero again. */
  credit: 4,
  /** No new turns; running ones finish. */
  drain: 5,
  /** Finish now: fail what runs, return from the resident task. */
  stop: 6,
  // down
  /** One whole frame for the client. */
  frame: 16,
  /** The message needs no more: main forgets the retained bytes. No frame belongs to it. */
  settled: 17,
  /** Ends the session. aux0: close code. Payload: reason, UTF-8, at most 123 bytes. */
  close: 18,
  /** What main sends in this worker's name if it dies. Payload: `Epitaph` (see epitaph-record.ts). */
  epitaph: 19,
  /** Limits let the message pass, and were charged: a rerun is not asked again. aux0: its `paid` (see messages.ts). */
  admitted: 20,
} as const;

/** Flags of a record. */
export const Flag = {
  /** Made before any upstream content; may be made again identically. */
  opener: 1,
  /** The first frame with upstream content: from here on no failover, and main lets go of the request's bytes. */
  commit: 2,
  /** The last frame of its stream. */
  terminal: 4,
  /** A binary WebSocket message; otherwise text. */
  binary: 8,
  /** The payload is compressed by a negotiated codec. */
  compressed: 16,
  /** The payload lies in the slab. */
  ticket: 32,
} as const;

/** A ring's control block: producer's and consumer's words on cache lines of their own. */
export const RingWord = {
  /** Free-running bytes published. Written by the producer alone. */
  head: 0,
  /** The producer waits for space: the consumer rings back when it frees some. */
  starved: 1,
  /** Free-running bytes consumed. Written by the consumer alone. */
  tail: 16,
  /** 1 = the consumer sleeps and wants a bell. */
  asleep: 17,
} as const;
export const RING_CONTROL_BYTES = 128;

/** One row per session slot. */
export const SessionWord = {
  /** Which session holds the slot; written by main. 0 = free. */
  generation: 0,
  /** Free-running bytes put into rings for the slot; workers add. */
  sent: 1,
  /** `sent` may grow up to here; written by main. */
  limit: 2,
  /** 1 = a worker has frames for the session and no credit; main sends a `credit` record when there is. */
  waiting: 3,
} as const;
export const SESSION_ROW_WORDS = 4;

/** One row per thread: main 0, coordinator 1, workers from 2. */
export const ThreadWord = {
  /** Which incarnation of the thread this row belongs to; written by main before the start. */
  generation: 0,
  /** 0 not started, 1 ready, 2 draining, 3 stopped. */
  state: 1,
  /** Grows at every turn or tick of the thread's loop. */
  beat: 2,
  /** 1 = inside a synchronous codec: terminating now would abort the process. */
  inCodec: 3,
  /** main's row alone: new turns are refused, and why (policy/overload.ts); 0 = they are not. */
  refusing: 4,
} as const;
export const THREAD_ROW_WORDS = 16;

/** Rows for upstreams: twice what the options allow, so that all of them can be replaced at once while the former ones drain. */
export const UPSTREAM_ROWS = 128;

/** One row per upstream; written by the coordinator, but for `cursor`. */
export const UpstreamWord = {
  /** 0 = no such upstream, 1 = configured. */
  present: 0,
  /** 1 = the last probes succeeded, 0 = failed, 2 = not yet probed (usable). */
  health: 1,
  /** 1 = an operator drains it by hand: no new streams. */
  drained: 2,
  /** Relative share, 1 to 65535. */
  weight: 3,
  /** Most streams at once over all workers, now. Workers raise it by compare-and-swap when it is needed, the coordinator lowers it. */
  capacity: 4,
  /** Shared-clock milliseconds (32 bit, free-running) until which it is left alone. */
  cooldownUntil: 5,
  /** Epoch of the configuration that gave this row to its upstream: a reader with another one looks at somebody else's row. */
  epoch: 6,
  /** What capacity may grow to. */
  capacityMax: 7,
  /** What an operator set instead of the configured weight; 0 = nothing. */
  weightByHand: 8,
} as const;
export const UPSTREAM_ROW_WORDS = 16;

/** One row per (upstream, worker), written by that worker alone, summed for picking; zeroed once by generation when it dies. */
export const ShareWord = {
  /** Generation of the worker that wrote the row. */
  generation: 0,
  /** Streams running now. */
  inFlight: 1,
  /** Free-running outcomes. */
  succeeded: 2,
  failed: 3,
  /** Peak-EWMA of time to first token, microseconds. */
  firstTokenUs: 4,
  /** When it was observed last, on the wrapping clock in milliseconds. */
  firstTokenAt: 5,
  /** Sockets of this worker that wait there for an exchange. */
  idleSockets: 6,
} as const;
export const SHARE_ROW_WORDS = 8;

/** Head of the upstream table. */
export const BoardWord = {
  /** Grows when the coordinator changed anything: readers compare and re-read. */
  epoch: 0,
  /** Its size; written once, before anyone else sees the table. */
  upstreams: 2,
  workers: 3,
} as const;
export const BOARD_HEAD_WORDS = 16;

/** Circuits of one upstream: one per model, shared by those that fall on the same. */
export const CIRCUITS_PER_UPSTREAM = 32;
/** Words of one circuit (policy/circuit.ts `CircuitWord`, and two free-running outcomes). */
export const CIRCUIT_CELL_WORDS = 8;

/** The limit table's head. */
export const LimitHead = {
  magic: 0,
  /** Rows of limits without a key, and slots of those with one. */
  rows: 1,
  slots: 2,
  /** Slots that hold a key; whoever opens or frees one counts. */
  used: 3,
  /** Random; begins every hash. */
  seed: 4,
  /** Words of each exact log. */
  logWords: 5,
  words: 16,
} as const;

/** One limit without a key: a cache line of its own, for many threads write it. */
export const LIMIT_ROW_WORDS = 16;

/** A key's slot. */
export const LimitSlotWord = {
  tag: 0,
  /** The key's hash; written by whoever claims the slot. */
  high: 1,
  low: 2,
  /** The algorithm's own. */
  word0: 3,
  word1: 4,
  /** Requests of the key that were refused. */
  refusals: 5,
  /** Which of its rule's limits the key has; written by whoever claims the slot. */
  tier: 6,
} as const;
export const LIMIT_SLOT_WORDS = 8;

/** One entry of the reservation book. */
export const ReservationWord = {
  /** 0 = free, −generation = being written, generation of the worker = held. */
  state: 0,
  /** Where the limit's words lie, and the tag of their slot (0 = a row: it has none). */
  at: 1,
  tag: 2,
  /** What the words count. */
  kind: 3,
  /** What is given back if the worker dies now. */
  amount: 4,
} as const;
export const RESERVATION_WORDS = 8;

/** API keys of one upstream that rest each for itself: until when, on the clock of `UpstreamWord.cooldownUntil`; 0 = it may be used. */
export const KEYS_PER_UPSTREAM = 16;
