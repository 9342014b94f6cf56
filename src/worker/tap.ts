/**
 * The records that answer one client message, in order. What the outbox cannot take now waits here: at most what one push of
 * upstream bytes turned into, because the stream decodes nothing more while its tap is not clear.
 */
import type { Ledger } from '../memory/contract.ts';
import { Flag, Kind } from '../memory/layout.ts';
import type { FrameSink } from '../protocol/dialect.ts';
import { type Epitaph, encodeEpitaph } from '../threads/epitaph-record.ts';
import type { Packed, Packer } from './compress.ts';
import type { Address, Outbox, Written } from './outbox.ts';
import type { Pace } from './pace.ts';
import { tellFrame, tellPacked } from './points.ts';

/** Where the frames of a stream leave: all that its attempts need to know of it. */
export interface Outlet {
  readonly address: Address;
  readonly ledger: Ledger;
  readonly frames: number;
  readonly bytes: number;
  readonly ended: boolean;
  readonly drained: boolean;
  clear(): boolean;
  onResumed(resumed: () => void): void;
  settle(): void;
}

interface Waiting {
  readonly kind: number;
  flags: number;
  readonly sequence: number;
  readonly aux0: number;
  bytes: Uint8Array;
  /** Not before its time. */
  readonly paced: boolean;
  /** Another thread compresses it: neither it nor what follows it can leave. */
  pending: boolean;
  /** Bytes booked in the ledger for it. */
  readonly booked: number;
}

/** A binary message that is a text one, compressed. */
const PACKED = Flag.compressed | Flag.binary;
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

export class Tap implements FrameSink, Outlet {
  readonly address: Address;
  /** See MESSAGE_PROLOGUE_BYTES. */
  readonly paid: number;
  readonly #outbox: Outbox;
  readonly #skip: number;
  readonly #packer: Packer | undefined;
  #queue: Waiting[] = [];
  #holding = false;
  #gone = false;
  #ended = false;
  #next: number;
  #frames = 0;
  #bytes = 0;
  #resumed: (() => void) | undefined;
  /** Set: the frame behind each `step` has a time before which it does not leave. */
  #pace: Pace | undefined;
  #stepped = false;

  /** Frames with a sequence below `skip` were delivered before a worker died: they are made, not sent. */
  constructor(outbox: Outbox, address: Address, skip: number, packer?: Packer, paid = 0) {
    this.paid = paid;
    this.#outbox = outbox;
    this.address = address;
    this.#skip = skip;
    this.#packer = packer;
    this.#next = skip;
  }

  /** Frames of this answer were delivered by a worker that died. */
  get opened(): boolean {
    return this.#skip > 0;
  }

  /** Sequence after the last frame, and never one that was already delivered. */
  get nextSequence(): number {
    return this.#next;
  }

  /** Frames made, sent or waiting. */
  get frames(): number {
    return this.#frames;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get ledger(): Ledger {
    return this.#outbox.ledger;
  }

  /** The terminal frame was made: nothing comes after it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing waits: what was made so far is in the ring (or nobody wants it). */
  get drained(): boolean {
    return this.#queue.length === 0;
  }

  /** Its waits end with `resume`. */
  paceBy(pace: Pace): void {
    this.#pace = pace;
  }

  /** The next frame leaves at its time, those behind it after it. */
  step(): void {
    this.#stepped = true;
  }

  /** The answer breaks off: what waits for its time leaves now. */
  hurry(): void {
    this.#pace?.close();
    this.#pace = undefined;
    if (!this.#holding) this.#flush();
  }

  /** `resumed` is called when credit or space came back and nothing waits any more. */
  onResumed(resumed: () => void): void {
    this.#resumed = resumed;
  }

  /** May more be decoded now? Otherwise `resumed` will be called. */
  clear(): boolean {
    if (this.#gone) return true;
    if (this.#queue.length > 0 && !this.#holding) return false;
    if (this.#outbox.mayWrite(this.address.slot)) return true;
    this.#outbox.wait(this, 'no-credit');
    return false;
  }

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    if (this.#ended) return;
    this.#next = Math.max(this.#next, sequence + 1);
    this.#ended = (flags & Flag.terminal) !== 0;
    if (sequence < this.#skip) return;
    this.#frames += 1;
    this.#bytes += length;
    tellFrame(this.address, sequence, length, flags);
    if (this.#holding && (flags & Flag.opener) === 0) this.release();
    const frame = bytes.subarray(0, length);
    if (this.#packer === undefined || this.#gone || flags & Flag.binary) {
      return this.#put(Kind.frame, flags, sequence, 0, frame);
    }
    const packed = this.#packer.pack(frame);
    if (packed instanceof Promise) return void this.#later(flags, sequence, frame, packed);
    if (packed === undefined) return this.#put(Kind.frame, flags, sequence, 0, frame);
    tellPacked(this.address, sequence, length, packed.byteLength);
    this.#put(Kind.frame, flags | PACKED, sequence, 0, packed);
  }

  /** Keeps the frame's place until another thread has compressed it: nothing of its session overtakes it, as if it waited for credit. */
  async #later(
    flags: number,
    sequence: number,
    frame: Uint8Array,
    packing: Promise<Packed>,
  ): Promise<void> {
    const place = this.#kept(Kind.frame, flags, sequence, 0, frame, this.#stepped);
    this.#stepped = false;
    place.pending = true;
    this.#queue.push(place);
    if (!this.#holding && this.#queue[0] === place) this.#outbox.wait(this, 'no-credit');
    const packed = await packing;
    place.pending = false;
    if (packed) {
      tellPacked(this.address, sequence, place.bytes.byteLength, packed.byteLength);
      place.bytes = packed;
      place.flags |= PACKED;
    }
    // Also when it is gone: others may have waited behind it.
    this.#outbox.credited(this.address.slot);
  }

  /** The only frame, or the last one: answers the message. */
  last(bytes: Uint8Array, extraFlags = 0): void {
    this.frame(bytes, bytes.byteLength, Flag.terminal | extraFlags, this.#next);
  }

  /** What main sends if this worker dies. Passes the openers that are held: it is no frame, and needs no credit. */
  epitaph(epitaph: Epitaph): void {
    const bytes = encodeEpitaph(epitaph);
    if (!this.#holding) return this.#put(Kind.epitaph, 0, 0, 0, bytes);
    if (this.#gone) return;
    const written = this.#outbox.write(this.address, Kind.epitaph, 0, 0, 0, bytes);
    if (!this.#settled(written)) this.#queue.unshift(this.#kept(Kind.epitaph, 0, 0, 0, bytes));
  }

  /** Limits were charged for the message: a rerun is not asked again. `paid`: see MESSAGE_PROLOGUE_BYTES. */
  admitted(paid: number): void {
    this.#put(Kind.admitted, 0, 0, paid, nothing);
  }

  /** The message needs no frame. */
  settle(): void {
    this.#put(Kind.settled, 0, 0, 0, nothing);
  }

  /** Ends the session, after what was put before. */
  close(code: number, reason: string): void {
    // A reason has at most 123 bytes (RFC 6455 section 5.5): cut between code points.
    const bytes = new Uint8Array(123);
    const { written } = encoder.encodeInto(reason, bytes);
    this.#put(Kind.close, 0, 0, code, bytes.subarray(0, written));
  }

  /** Keeps openers back until something else comes, or until `release`. */
  hold(): void {
    this.#holding = true;
  }

  release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#flush();
  }

  /** Nobody reads any more. */
  discard(): void {
    this.#gone = true;
    this.#outbox.forget(this);
    this.#pace?.close();
    for (const { booked } of this.#queue) this.#outbox.ledger.give('outbox', booked);
    this.#queue = [];
  }

  /** The outbox: try again. */
  resume(): void {
    if (!this.#holding && !this.#flush()) return;
    this.#resumed?.();
  }

  #put(kind: number, flags: number, sequence: number, aux0: number, bytes: Uint8Array): void {
    if (this.#gone) return;
    const paced = this.#stepped;
    this.#stepped = false;
    if (this.#queue.length === 0 && !this.#holding && !this.#early(paced)) {
      const written = this.#outbox.write(this.address, kind, flags, sequence, aux0, bytes);
      if (this.#settled(written)) {
        if (paced) this.#pace?.left();
        return;
      }
    }
    this.#queue.push(this.#kept(kind, flags, sequence, aux0, bytes, paced));
  }

  #kept(
    kind: number,
    flags: number,
    sequence: number,
    aux0: number,
    bytes: Uint8Array,
    paced = false,
  ): Waiting {
    const booked = this.#outbox.ledger.take('outbox', bytes.byteLength) ? bytes.byteLength : 0;
    // Not `slice()`: of a Buffer that is a view.
    const copy = new Uint8Array(bytes);
    return { kind, flags, sequence, aux0, bytes: copy, pending: false, paced, booked };
  }

  /** True when nothing waits any more. */
  #flush(): boolean {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const { kind, flags, sequence, aux0, bytes, paced, booked } = head;
      if (head.pending) this.#outbox.wait(this, 'no-credit');
      if (head.pending || this.#early(paced)) return false;
      if (!this.#settled(this.#outbox.write(this.address, kind, flags, sequence, aux0, bytes))) {
        return false;
      }
      if (this.#gone) return true;
      this.#outbox.ledger.give('outbox', booked);
      if (paced) this.#pace?.left();
      this.#queue.shift();
    }
    return true;
  }

  /** Has it to wait for its time? */
  #early(paced: boolean): boolean {
    return paced && this.#pace?.early() === true;
  }

  /** Has the record left (or become pointless)? Otherwise the tap waits. */
  #settled(written: Written): boolean {
    if (written === 'written') return true;
    if (written === 'gone') this.discard();
    else this.#outbox.wait(this, written);
    return written === 'gone';
  }
}
