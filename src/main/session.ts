/** The sessions: who holds which slot, and what main keeps for each. */
import type { EncodingName } from '../codec/negotiate.ts';
import type { SessionCells } from '../memory/contract.ts';
import { must } from '../must.ts';
import type { DialectName } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import type { TraceContext } from '../protocol/trace-context.ts';
import type { Rights } from '../threads/messages.ts';
import type { Connection } from './backend/backend.ts';
import type { Known } from './door-limits.ts';
import type { Request } from './requests.ts';

/** What accept decided about a client before its session opened. */
export interface Admission {
  readonly dialect: DialectName;
  /** Hash of the key, or 'anonymous'. */
  readonly principal: string;
  readonly address: string;
  /** What the operator calls the key; absent: it has no name. */
  readonly keyName?: string;
  readonly rights?: Rights;
  /** It came by a configured key, and goes when that key goes. */
  readonly byKey?: boolean;
  /** The trace that its upgrade request belongs to. */
  readonly trace?: TraceContext;
  /** Path of the user's route, where the dialect is `route`. */
  readonly route?: string;
  /** One request, one answer, and the session ends: HTTP. */
  readonly once?: boolean;
  /** Whose user code let it in; absent: any worker will do. */
  readonly worker?: number;
  /** The path it connected to. */
  readonly path?: string;
  /** The subprotocol it was answered with. */
  readonly protocol?: string;
  /** How its messages are encoded; absent: as they are. */
  readonly encoding?: EncodingName;
  /** Hash of the dictionary they are encoded with. */
  readonly dictionary?: string;
}

/** One client's WebSocket, or its one HTTP request, as main sees it. */
export class Session {
  readonly slot: number;
  readonly generation: number;
  readonly connection: Connection;
  readonly admission: Admission;
  /** The worker its requests go to, pinned at accept. */
  readonly worker: number;
  /** Generation of the worker incarnation that was told about this session; 0 = none. */
  knownBy = 0;
  /** Last sign of life, as the sweep found it. */
  seenMs: number;
  /** A sign of life since the sweep looked last: a flag costs a message nothing, a clock does. */
  heard = false;
  /** Its socket has held unread bytes since then; 0 = it keeps up. */
  fullSinceMs = 0;
  pinged = false;
  /** Its key is gone: nothing new begins, and it ends with what runs. */
  revoked = false;
  /** The requests main still keeps, oldest first; made with the first one, because most sessions idle. */
  requests: Request[] | undefined = undefined;
  /** The request whose frames came last: most sessions have one at a time. */
  latest: Request | undefined = undefined;
  /** Its chain of frames in the batch being delivered: first and last position, -1 = none. */
  batchHead = -1;
  batchTail = -1;
  open = true;
  /** For its log line: payload bytes, and the messages that became requests. */
  readonly openedMs: number;
  bytesIn = 0;
  bytesOut = 0;
  asked = 0;
  /** Bytes of its messages that are not settled, and how many there were when its client was paused; 0: it is read. */
  unsettledBytes = 0;
  pausedBytes = 0;
  /** Its one answer is complete, and waits to be read. */
  ending = false;
  /** Its address, as limits know it. */
  known: Known | undefined = undefined;

  constructor(
    slot: number,
    generation: number,
    connection: Connection,
    admission: Admission,
    worker: number,
    nowMs: number,
  ) {
    this.slot = slot;
    this.generation = generation;
    this.connection = connection;
    this.admission = admission;
    this.worker = worker;
    this.seenMs = nowMs;
    this.openedMs = nowMs;
  }

  /** Something of it was settled: its client, paused, is read again when half of what there was is gone. */
  relieve(): void {
    if (2 * this.unsettledBytes > this.pausedBytes) return;
    this.pausedBytes = 0;
    // It could not say anything meanwhile.
    this.heard = true;
    this.connection.resume?.();
  }

  get once(): boolean {
    return this.admission.once === true;
  }
  get unsettled(): number {
    return this.requests?.length ?? 0;
  }
  get principal(): string {
    return this.admission.principal;
  }
  get address(): string {
    return this.admission.address;
  }
}

/** All sessions by slot, and the account of their credit. */
export class Sessions {
  readonly #cells: SessionCells;
  #creditBytes: number;
  readonly #workers: number;
  readonly #bySlot: (Session | undefined)[];
  readonly #free: number[] = [];
  readonly #generations: Uint32Array;
  /** Free-running bytes taken out of rings for a slot, and where that count stood at the last grant. */
  readonly #taken: Int32Array;
  readonly #granted: Int32Array;
  #next = 0;
  #count = 0;
  #turn = 0;

  constructor(cells: SessionCells, creditBytes: number, workers: number) {
    this.#cells = cells;
    this.#creditBytes = creditBytes;
    this.#workers = workers;
    this.#bySlot = new Array(cells.sessionsMax);
    this.#generations = new Uint32Array(cells.sessionsMax);
    this.#taken = new Int32Array(cells.sessionsMax);
    this.#granted = new Int32Array(cells.sessionsMax);
  }

  /** Another credit, from each session's next grant on. */
  reconfigure({ session }: Options): void {
    this.#creditBytes = session.creditBytes;
  }

  get count(): number {
    return this.#count;
  }
  get full(): boolean {
    return this.#count >= this.#cells.sessionsMax;
  }

  add(connection: Connection, admission: Admission, nowMs: number): Session {
    const slot = this.#free.pop() ?? this.#next++;
    must(slot < this.#cells.sessionsMax, 'accept bounds the sessions');
    const generation = (this.#generations[slot] + 1) >>> 0 || 1;
    this.#generations[slot] = generation;
    const worker = admission.worker ?? this.#turn++ % this.#workers;
    const session = new Session(slot, generation, connection, admission, worker, nowMs);
    this.#bySlot[slot] = session;
    this.#count++;
    this.#cells.open(slot, generation, this.#creditBytes);
    this.#granted[slot] = this.#taken[slot];
    return session;
  }

  remove(session: Session): void {
    must(this.#bySlot[session.slot] === session, 'a session leaves its own slot');
    session.open = false;
    this.#cells.close(session.slot);
    this.#bySlot[session.slot] = undefined;
    this.#free.push(session.slot);
    this.#count--;
  }

  /** The session of this slot and generation; undefined when it has left. */
  find(slot: number, generation: number): Session | undefined {
    const session = this.#bySlot[slot];
    return session !== undefined && session.generation === generation ? session : undefined;
  }

  /** Whoever holds the slot now. */
  at(slot: number): Session | undefined {
    return this.#bySlot[slot];
  }

  /** Counts bytes that left a ring for a slot, also when its session is gone. */
  took(slot: number, bytes: number): void {
    this.#taken[slot] += bytes;
  }

  /**
   * Gives new credit when a quarter was used since the last grant, or when the socket held bytes then. True: a worker waits for it.
   */
  grant(session: Session): boolean {
    const { slot } = session;
    const used = (this.#taken[slot] - this.#granted[slot]) | 0;
    if (used < this.#creditBytes >> 2 && session.fullSinceMs === 0) return false;
    this.#granted[slot] = this.#taken[slot];
    return this.#cells.grant(
      slot,
      this.#taken[slot],
      session.connection.buffered(),
      this.#creditBytes,
    );
  }

  /** A worker died: what it booked but never published is written off for the sessions pinned to it. */
  resync(worker: number): void {
    for (const session of this.#bySlot) {
      if (session?.worker !== worker) continue;
      this.#taken[session.slot] = this.#cells.sent(session.slot) | 0;
      this.#granted[session.slot] = this.#taken[session.slot];
      this.#cells.grant(
        session.slot,
        this.#taken[session.slot],
        session.connection.buffered(),
        this.#creditBytes,
      );
    }
  }

  /** Visits the open sessions of slots `from` (inclusive) to `to`. */
  slice(from: number, to: number, each: (session: Session) => void): void {
    for (let slot = from; slot < to && slot < this.#next; slot++) {
      const session = this.#bySlot[slot];
      if (session) each(session);
    }
  }

  /** Slots ever used: the upper end for `slice`. */
  get used(): number {
    return this.#next;
  }
}
