/**
 * The writing side of a worker towards main: records into the down ring, under the credit of each session.
 *
 *   Tap (one per client message, order kept) ──▶ Outbox ──▶ ring ──▶ main
 *        │ no credit, or no space: waits in the tap
 *        └─ resumed by a `credit` record of its session, or by the bell that says "space"
 *
 * A session without credit holds nobody else back: it waits in its own taps and writes nothing into the ring.
 */
import type { Ledger, RecordHeader, RingProducer, SessionCells, Slab } from '../memory/contract.ts';
import { writeLarge } from '../memory/large-record.ts';
import { Kind } from '../memory/layout.ts';
import { blankHeader } from '../memory/record-header.ts';
import type { Ticker } from '../policy/ports.ts';
import type { Tap } from './tap.ts';

const SLAB_RETRY_MS = 20;

/** What a write came to: 'gone' = the session is closed or this worker is retired; forget it. */
export type Written = 'written' | 'no-credit' | 'no-space' | 'gone';

/** Whose record it is. */
export interface Address {
  readonly slot: number;
  readonly generation: number;
  /** The client message it belongs to. */
  readonly stream: number;
}

export interface OutboxParts {
  readonly ring: RingProducer;
  readonly slab: Slab;
  readonly sessions: SessionCells;
  readonly ledger: Ledger;
  readonly ticker: Ticker;
  /** In whose name slab blocks are claimed. */
  readonly slabOwner: number;
  /** This incarnation was replaced: nothing may be written any more. */
  retired(): boolean;
  /** A write found no space. */
  onFull(): void;
}

export class Outbox {
  readonly ledger: Ledger;
  readonly #parts: OutboxParts;
  /** Taps without credit by slot, and taps without space. Both in the order they began to wait. */
  readonly #poor = new Map<number, Set<Tap>>();
  readonly #crowded = new Set<Tap>();
  #retrying = false;
  readonly #header = blankHeader();

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.ledger = parts.ledger;
  }

  /** Taps that wait now. */
  get waiting(): number {
    let count = this.#crowded.size;
    for (const taps of this.#poor.values()) count += taps.size;
    return count;
  }

  /**
   * May this session get one more frame? Without credit, main will say when. Behind frames that wait nothing is written, though credit has come
   * meanwhile: it may belong to the same lane, and must not overtake.
   */
  mayWrite(slot: number): boolean {
    const { sessions } = this.#parts;
    if (this.#poor.has(slot)) return false;
    return sessions.credit(slot) > 0 || sessions.await(slot);
  }

  /** Frames cost credit; everything else (kind ≠ frame) does not. */
  write(
    address: Address,
    kind: number,
    flags: number,
    sequence: number,
    aux0: number,
    payload: Uint8Array,
  ): Written {
    const { sessions, ring } = this.#parts;
    const { slot, generation } = address;
    if (this.#parts.retired() || !sessions.holds(slot, generation)) return 'gone';
    if (kind === Kind.frame) {
      if (!this.mayWrite(slot)) return 'no-credit';
      if (this.#crowded.size > 0 && this.#isCrowded(slot)) return 'no-space';
    }
    const length = payload.byteLength;
    const header = this.#header;
    header.kind = kind;
    header.flags = flags;
    header.slot = slot;
    header.generation = generation;
    header.stream = address.stream;
    header.sequence = sequence;
    header.aux0 = aux0;
    header.length = length;
    const done =
      length > ring.payloadBytesMax
        ? this.#writeLarge(header, payload)
        : ring.write(header, payload);
    if (!done) {
      this.#parts.onFull();
      return 'no-space';
    }
    if (kind === Kind.frame) sessions.spend(slot, length);
    return 'written';
  }

  /** The tap waits for what `why` says; it will be resumed. */
  wait(tap: Tap, why: 'no-credit' | 'no-space'): void {
    if (why === 'no-space') return this.#crowd(tap);
    const taps = this.#poor.get(tap.address.slot) ?? new Set<Tap>();
    this.#poor.set(tap.address.slot, taps);
    taps.add(tap);
  }

  forget(tap: Tap): void {
    this.#crowded.delete(tap);
    const taps = this.#poor.get(tap.address.slot);
    taps?.delete(tap);
    if (taps?.size === 0) this.#poor.delete(tap.address.slot);
  }

  /** The session is gone: none of its taps waits any more. */
  drop(slot: number, generation: number): void {
    const all = [...(this.#poor.get(slot) ?? []), ...this.#crowded];
    for (const tap of all) {
      const { address } = tap;
      if (address.slot === slot && address.generation === generation) tap.discard();
    }
  }

  /** Credit came for a session. */
  credited(slot: number): void {
    const taps = this.#poor.get(slot);
    if (!taps) return;
    this.#poor.delete(slot);
    for (const tap of taps) tap.resume();
  }

  #isCrowded(slot: number): boolean {
    for (const { address } of this.#crowded) if (address.slot === slot) return true;
    return false;
  }

  /** There may be space again in the ring or in the slab. */
  spaced(): void {
    if (this.#crowded.size === 0) return;
    const taps = [...this.#crowded];
    this.#crowded.clear();
    for (const tap of taps) tap.resume();
  }

  /** The ring's other end rings when it frees space; the slab belongs to all, and rings nobody. */
  #crowd(tap: Tap): void {
    this.#crowded.add(tap);
    if (this.#retrying) return;
    this.#retrying = true;
    this.#parts.ticker.after(SLAB_RETRY_MS, () => {
      this.#retrying = false;
      if (!this.#parts.retired()) this.spaced();
    });
  }

  /** Apart from `write`: a closure there would cost every record an allocation. */
  #writeLarge(header: RecordHeader, payload: Uint8Array): boolean {
    const { ring, slab, slabOwner } = this.#parts;
    return writeLarge(ring, slab, slabOwner, header, payload.byteLength, (place) =>
      place.set(payload),
    );
  }
}
