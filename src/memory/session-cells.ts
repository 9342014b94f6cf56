/**
 * One row per session slot: who holds it and how many bytes may still be put into rings for it.
 *
 *     row of 16 B      ┌────────────┬──────────────┬──────────────┬─────────┐
 *                      │ generation │ sent         │ limit        │ waiting │
 *                      └────────────┴──────────────┴──────────────┴─────────┘
 *     written by         main         workers (add)  main           both (flag)
 *
 *     sent ──────┬──── in ring ────┬── in socket ──┐
 *     bytes put  │ sent − taken    │ buffered      │   credit = limit − sent
 *     into rings │                 │               │          = watermark − in ring − in socket
 *
 * Which word orders it: `generation` (stored last by `open`) says that the other words belong to this session; `sent` and
 * `limit` run freely in 32 bits, so their difference is right across an overflow; a worker that finds no credit sets `waiting`
 * and looks again, main moves `limit` and then looks at `waiting`: one of the two sees the other.
 * One worker speaks for a session at a time, so one waiter per row is enough.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import type { SessionCells, SharedBytes } from './contract.ts';
import { SESSION_ROW_WORDS, SessionWord } from './layout.ts';

/** More would make a difference of two running words ambiguous. */
const creditBytesMax = 2 ** 30;

export function allocateSessionCells(sessionsMax: number): SharedBytes {
  must(sessionsMax >= 0 && Number.isInteger(sessionsMax), 'a whole number of sessions');
  return new SharedArrayBuffer(4 * SESSION_ROW_WORDS * sessionsMax);
}

export function openSessionCells(
  shared: SharedBytes,
  atomics: AtomicsPort = realAtomics,
): SessionCells {
  return new Cells(shared, atomics);
}

class Cells implements SessionCells {
  readonly sessionsMax: number;
  readonly #words: Int32Array;
  readonly #atomics: AtomicsPort;

  constructor(shared: SharedBytes, atomics: AtomicsPort) {
    this.#words = new Int32Array(shared);
    this.sessionsMax = this.#words.length / SESSION_ROW_WORDS;
    this.#atomics = atomics;
  }

  open(slot: number, generation: number, creditBytes: number): void {
    must(generation !== 0, 'generation 0 is nobody');
    must(creditBytes >= 0 && creditBytes <= creditBytesMax, 'a credit of 0 to 2^30 bytes');
    const row = this.#row(slot);
    const sent = this.#atomics.load(this.#words, row + SessionWord.sent);
    this.#atomics.store(this.#words, row + SessionWord.waiting, 0);
    this.#atomics.store(this.#words, row + SessionWord.limit, (sent + creditBytes) | 0);
    this.#atomics.store(this.#words, row + SessionWord.generation, generation | 0);
  }

  close(slot: number): void {
    this.#atomics.store(this.#words, this.#row(slot) + SessionWord.generation, 0);
  }

  holds(slot: number, generation: number): boolean {
    const holder = this.#atomics.load(this.#words, this.#row(slot) + SessionWord.generation);
    return holder !== 0 && holder === (generation | 0);
  }

  credit(slot: number): number {
    const row = this.#row(slot);
    const limit = this.#atomics.load(this.#words, row + SessionWord.limit);
    return (limit - this.#atomics.load(this.#words, row + SessionWord.sent)) | 0;
  }

  spend(slot: number, bytes: number): void {
    this.#atomics.add(this.#words, this.#row(slot) + SessionWord.sent, bytes | 0);
  }

  grant(slot: number, taken: number, buffered: number, watermark: number): boolean {
    const row = this.#row(slot);
    const limit = (taken + watermark - buffered) | 0;
    this.#atomics.store(this.#words, row + SessionWord.limit, limit);
    if (this.#atomics.load(this.#words, row + SessionWord.waiting) === 0) return false;
    if (this.credit(slot) <= 0) return false;
    return this.#atomics.exchange(this.#words, row + SessionWord.waiting, 0) === 1;
  }

  sent(slot: number): number {
    return this.#atomics.load(this.#words, this.#row(slot) + SessionWord.sent) >>> 0;
  }

  await(slot: number): boolean {
    const row = this.#row(slot);
    this.#atomics.store(this.#words, row + SessionWord.waiting, 1);
    if (this.credit(slot) <= 0) return false;
    this.#atomics.store(this.#words, row + SessionWord.waiting, 0);
    return true;
  }

  #row(slot: number): number {
    must(slot >= 0 && slot < this.sessionsMax, 'a session slot that does not exist');
    return slot * SESSION_ROW_WORDS;
  }
}
