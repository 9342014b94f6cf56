/**
 * Stage ⑦: from a worker's down ring to the clients' sockets. A batch of records is taken, its frames are chained per session, each
 * session's chain leaves in one cork, credit is given back, and only then is the ring's space released: the bytes go to `send`
 * straight from shared memory.
 */
import type { RecordHeader, RingConsumer, Slab, Ticket } from '../memory/contract.ts';
import { readTicket } from '../memory/large-record.ts';
import { Flag, Kind } from '../memory/layout.ts';
import { must } from '../must.ts';
import { close as closeCode } from '../protocol/close.ts';
import { decodeEpitaph } from '../threads/epitaph-record.ts';
import type { Counts } from './counts.ts';
import { tellSent, tellTaken } from './points.ts';
import type { Requests } from './requests.ts';
import type { Session, Sessions } from './session.ts';

/** Records taken at once: bounds how long the loop is busy, and the views alive. */
const BATCH_MAX = 512;

export interface DeliverEvents {
  /** The session's worker waits for credit and there is some. */
  credited(session: Session): void;
  /** The worker ends the session. */
  close(session: Session, code: number, reason: string): void;
  /** The one answer of a session that has only one is sent. */
  over(session: Session): void;
}

export class Deliver {
  readonly #sessions: Sessions;
  readonly #requests: Requests;
  readonly #slab: Slab;
  readonly #counts: Counts;
  readonly #events: DeliverEvents;

  // The batch, by position. Frames of one session are chained through `#next`.
  readonly #payloads = new Array<Uint8Array>(BATCH_MAX);
  readonly #binary = new Uint8Array(BATCH_MAX);
  readonly #next = new Int16Array(BATCH_MAX);
  readonly #touched: Session[] = [];
  readonly #heirs: Session[] = [];
  readonly #tickets: Ticket[] = [];
  readonly #over: Session[] = [];
  readonly #closing: { session: Session; code: number; reason: string }[] = [];
  #frames = 0;
  #bytes = 0;
  #nowMs = 0;
  readonly #each = (header: RecordHeader, payload: Uint8Array) => this.#record(header, payload);
  #corked: Session | undefined = undefined;
  readonly #sendCorked = () => this.#sendChain(this.#corked as Session);

  constructor(
    sessions: Sessions,
    requests: Requests,
    slab: Slab,
    counts: Counts,
    events: DeliverEvents,
  ) {
    this.#sessions = sessions;
    this.#requests = requests;
    this.#slab = slab;
    this.#counts = counts;
    this.#events = events;
  }

  /** Delivers one batch. Returns the records handled: 0 = the ring was empty. */
  batch(ring: RingConsumer, nowMs: number): number {
    this.#nowMs = nowMs;
    this.#frames = this.#bytes = 0;
    const records = ring.take(BATCH_MAX, this.#each);
    if (records === 0) return 0;
    for (const session of this.#touched) this.#send(session);
    this.#touched.length = 0;
    ring.release();
    if (this.#frames > 0) {
      this.#counts.sent(this.#frames, this.#bytes);
      this.#counts.stage('deliver', this.#frames);
    }
    if (this.#tickets.length > 0) this.#freeTickets();
    if (this.#heirs.length > 0) for (const heir of this.#heirs.splice(0)) this.#credit(heir);
    if (this.#over.length > 0)
      for (const session of this.#over.splice(0)) this.#events.over(session);
    if (this.#closing.length > 0) this.#close();
    return records;
  }

  #record(header: RecordHeader, payload: Uint8Array): void {
    switch (header.kind) {
      case Kind.frame:
        return this.#frame(header, payload);
      case Kind.settled:
        return this.#settled(header);
      case Kind.epitaph:
        return this.#epitaph(header, payload);
      case Kind.admitted:
        return this.#admitted(header);
      case Kind.close:
        return this.#closeLater(header, payload);
      default:
        must(false, `no worker writes records of kind ${header.kind}`);
    }
  }

  #frame(header: RecordHeader, payload: Uint8Array): void {
    const { flags, slot } = header;
    let bytes = payload;
    if (flags & Flag.ticket) {
      const ticket = readTicket(payload);
      this.#tickets.push(ticket);
      bytes = this.#slab.view(ticket);
    }
    this.#sessions.took(slot, bytes.byteLength);
    const session = this.#sessions.find(slot, header.generation);
    if (session === undefined) return this.#stray(slot);
    const at = this.#frames++;
    this.#payloads[at] = bytes;
    this.#bytes += bytes.byteLength;
    session.bytesOut += bytes.byteLength;
    this.#binary[at] = flags & Flag.binary;
    this.#next[at] = -1;
    if (session.batchTail === -1) {
      session.batchHead = at;
      this.#touched.push(session);
    } else {
      this.#next[session.batchTail] = at;
    }
    session.batchTail = at;
    tellTaken(header, bytes.byteLength);
    if (header.stream !== 0) this.#account(session, header);
  }

  /** A frame for a session that has left used the credit of whoever holds its slot now: that one is due it back. */
  #stray(slot: number): void {
    const heir = this.#sessions.at(slot);
    if (heir) this.#heirs.push(heir);
  }

  /** What a frame means for its request: how far it got, its commit point, its end. */
  #account(session: Session, header: RecordHeader): void {
    const request = this.#requests.of(session, header.stream);
    if (request === undefined) return;
    request.delivered = header.sequence + 1;
    if (header.flags & Flag.commit && !request.committed) {
      this.#requests.commit(request);
      this.#counts.firstDelta(this.#nowMs - request.arrivedMs);
    }
    if ((header.flags & Flag.terminal) === 0) return;
    this.#requests.settle(request);
    if (session.once) this.#over.push(session);
  }

  #send(session: Session): void {
    if (this.#next[session.batchHead] === -1) {
      this.#sendChain(session);
    } else {
      this.#corked = session;
      session.connection.cork(this.#sendCorked);
      this.#corked = undefined;
      // What cork could not write at its end, its sends did not know.
      if (session.connection.buffered() > 0) this.#full(session);
    }
    session.batchHead = session.batchTail = -1;
    tellSent(session);
    this.#credit(session);
  }

  #credit(session: Session): void {
    if (session.open && this.#sessions.grant(session)) this.#events.credited(session);
  }

  #sendChain(session: Session): void {
    const { connection } = session;
    for (let at = session.batchHead; at !== -1; at = this.#next[at]) {
      const status = connection.send(this.#payloads[at], this.#binary[at] !== 0);
      if (status === 'buffered') this.#full(session);
    }
  }

  #full(session: Session): void {
    if (session.fullSinceMs !== 0) return;
    session.fullSinceMs = this.#nowMs;
    this.#counts.backpressure();
  }

  #settled(header: RecordHeader): void {
    const session = this.#sessions.find(header.slot, header.generation);
    const request = session && this.#requests.of(session, header.stream);
    if (!session || !request) return;
    this.#requests.settle(request);
    if (session.pausedBytes > 0) session.relieve();
    // Nothing more will be said, and nothing was: whoever waits for an answer is told.
    if (session.once)
      this.#closing.push({ session, code: closeCode.internal, reason: 'the answer was lost' });
  }

  #epitaph(header: RecordHeader, payload: Uint8Array): void {
    const session = this.#sessions.find(header.slot, header.generation);
    const request = session && this.#requests.of(session, header.stream);
    let bytes = payload;
    if (header.flags & Flag.ticket) {
      const ticket = readTicket(payload);
      this.#tickets.push(ticket);
      bytes = this.#slab.view(ticket);
    }
    if (request) request.epitaph = decodeEpitaph(bytes);
  }

  #admitted(header: RecordHeader): void {
    const session = this.#sessions.find(header.slot, header.generation);
    const request = session && this.#requests.of(session, header.stream);
    if (request) request.paid = header.aux0;
  }

  #closeLater(header: RecordHeader, payload: Uint8Array): void {
    const session = this.#sessions.find(header.slot, header.generation);
    // A copy first: text is never decoded from shared memory.
    const reason = Buffer.from(payload.slice()).toString();
    if (session) this.#closing.push({ session, code: header.aux0, reason });
  }

  #close(): void {
    for (const { session, code, reason } of this.#closing.splice(0)) {
      if (session.open) this.#events.close(session, code, reason);
    }
  }

  #freeTickets(): void {
    for (const ticket of this.#tickets) this.#slab.free(ticket);
    this.#tickets.length = 0;
  }
}
