/**
 * main's writing side towards one worker incarnation: records into its up ring, in order. What does not fit waits here, so that
 * main never blocks on a worker; the waiting bytes are the retained requests', which are bounded.
 */
import type { RecordHeader, RingProducer, Slab } from '../memory/contract.ts';
import { writeLarge } from '../memory/large-record.ts';
import { Flag, Kind } from '../memory/layout.ts';
import { blankHeader } from '../memory/record-header.ts';
import { MESSAGE_PROLOGUE_BYTES, type SessionFacts } from '../threads/messages.ts';
import { slabOwner, WORKER_ROW } from '../threads/roster.ts';
import type { Incarnation } from '../threads/worker-pool.ts';
import type { Request } from './requests.ts';
import type { Session } from './session.ts';

const nothing = new Uint8Array(0);

export class Link {
  readonly worker: number;
  readonly #slab: Slab;
  readonly #onFull: () => void;
  #ring: RingProducer | undefined = undefined;
  #generation = 0;
  /** Writes that found no space; each answers whether it succeeded. */
  #backlog: (() => boolean)[] = [];
  readonly #header = blankHeader();

  constructor(worker: number, slab: Slab, onFull: () => void) {
    this.worker = worker;
    this.#slab = slab;
    this.#onFull = onFull;
  }

  get generation(): number {
    return this.#generation;
  }

  /** A new incarnation serves from here on. What waited for the former one is void: its requests are run again by whoever replaced it. */
  attach(incarnation: Incarnation): void {
    this.#ring = incarnation.up;
    this.#generation = incarnation.generation;
    this.#backlog = [];
  }

  /** The incarnation is gone: everything waits for the next one. */
  detach(): void {
    this.#ring = undefined;
    this.#generation = 0;
    this.#backlog = [];
  }

  /** Hands a request to the worker; with `skip`, frames below it were delivered before. Void without a worker: it is run when one comes. */
  request(request: Request): void {
    if (!this.#ring) return;
    this.#introduce(request.session);
    this.#put(() => this.#message(request));
  }

  /** A word about a session the worker knows; nothing to say when it does not know it. */
  control(kind: number, session: Session, aux0 = 0, payload = nothing): void {
    if (!this.#ring || session.knownBy !== this.#generation) return;
    this.#put(() => this.#record(kind, session.slot, session.generation, payload, aux0));
  }

  /** Tells the worker of a session before its first message. False: there is no worker now. */
  greet(session: Session): boolean {
    if (!this.#ring) return false;
    this.#introduce(session);
    return true;
  }

  /** A word to the worker itself: drain, stop. */
  order(kind: number): void {
    if (this.#ring) this.#put(() => this.#record(kind, 0, 0, nothing));
  }

  /** The worker made space: writes what waited. */
  resume(): void {
    while (this.#backlog.length > 0) {
      if (!this.#backlog[0]()) return;
      this.#backlog.shift();
    }
  }

  #put(write: () => boolean): void {
    if (this.#backlog.length === 0 && write()) return;
    if (this.#backlog.length === 0) this.#onFull();
    this.#backlog.push(write);
  }

  #introduce(session: Session): void {
    if (session.knownBy === this.#generation) return;
    session.knownBy = this.#generation;
    const facts: SessionFacts = session.admission;
    const bytes = Buffer.from(JSON.stringify(facts));
    this.#put(() => this.#record(Kind.sessionOpen, session.slot, session.generation, bytes));
  }

  #record(kind: number, slot: number, generation: number, payload: Uint8Array, aux0 = 0): boolean {
    const header = this.#head(kind, slot, generation);
    header.aux0 = aux0;
    return this.#ring?.write(header, payload) ?? true;
  }

  /** The prologue and the client's bytes, in the ring or (large) in the slab with a ticket in the ring. */
  #message(request: Request): boolean {
    const ring = this.#ring;
    const { bytes, session } = request;
    // Its session left while it waited for space.
    if (!ring || !bytes || !session.open) return true;
    const length = MESSAGE_PROLOGUE_BYTES + bytes.byteLength;
    const header = this.#head(Kind.message, session.slot, session.generation);
    header.stream = request.number;
    header.flags = request.binary ? Flag.binary : 0;
    if (length > ring.payloadBytesMax) {
      const owner = slabOwner(WORKER_ROW + this.worker, this.#generation);
      return writeLarge(ring, this.#slab, owner, header, length, (place) =>
        writeMessage(place, request, bytes),
      );
    }
    const place = ring.reserve(length);
    if (!place) return false;
    writeMessage(place, request, bytes);
    header.length = length;
    ring.commit(header);
    return true;
  }

  #head(kind: number, slot: number, generation: number): RecordHeader {
    const header = this.#header;
    header.kind = kind;
    header.slot = slot;
    header.generation = generation;
    header.flags = header.stream = header.sequence = header.aux0 = header.aux1 = header.length = 0;
    return header;
  }
}

/** Layout: see MESSAGE_PROLOGUE_BYTES. */
function writeMessage(into: Uint8Array, request: Request, bytes: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, MESSAGE_PROLOGUE_BYTES);
  into.set(request.nonce, 0);
  view.setFloat64(16, request.arrivedWallMs, true);
  view.setUint16(24, request.owner, true);
  view.setUint16(26, request.ownerGeneration, true);
  view.setUint32(28, request.delivered, true);
  view.setUint32(32, request.tag, true);
  view.setUint32(36, request.paid, true);
  into.set(bytes, MESSAGE_PROLOGUE_BYTES);
}
