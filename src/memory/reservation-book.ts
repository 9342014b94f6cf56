/**
 * What the streams of each worker have set aside of shared limits, so that a worker's death gives it back: a row of entries per worker, 32 B each.
 *
 *     │ state │ at │ tag │ kind │ amount │ · │ · │ · │      state: 0 free · −generation being written · generation held
 *
 * Who writes: the worker whose row it is; main, for a worker that is gone. Who reads: both. Which word orders it: `state`. Whoever takes an entry from held to free, by
 * compare-and-swap, is the one that gives back what is left of it, so that this happens once, also when a worker that was given up for dead comes back.
 *
 * What a thread does between taking and noting is lost if it ends there, and the two orders differ in who loses. Tokens, which time brings back: an entry has its amount only after that was taken,
 * and is freed before its rest is given back, so nothing is ever given that was not taken, and nothing twice. Numbers of runners, which no time heals: held before they are taken and freed after
 * they were given back, so none is lost; one may be given back twice, and one more than allowed runs until none of that key does.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import type { ReservationBook, SharedBytes } from './contract.ts';
import { RESERVATION_WORDS, ReservationWord } from './layout.ts';

/** Per worker; pages that nobody has touched cost nothing. */
const ENTRIES = 32_768;

export function allocateReservationBook(workers: number, entries = ENTRIES): SharedBytes {
  return new SharedArrayBuffer(4 * RESERVATION_WORDS * entries * workers);
}

/** `entries`: as many as it was allocated with. */
export function openReservationBook(
  shared: SharedBytes,
  atomics: AtomicsPort = realAtomics,
  entries = ENTRIES,
): ReservationBook {
  return new Book(new Int32Array(shared), atomics, entries);
}

class Book implements ReservationBook {
  readonly #words: Int32Array;
  readonly #atomics: AtomicsPort;
  readonly #entries: number;
  /** Freed by this thread. */
  readonly #free: number[] = [];
  #next = 0;

  constructor(words: Int32Array, atomics: AtomicsPort, entries: number) {
    this.#words = words;
    this.#atomics = atomics;
    this.#entries = entries;
    must(words.length % (RESERVATION_WORDS * entries) === 0, 'a book of whole rows');
  }

  open(
    worker: number,
    generation: number,
    at: number,
    tag: number,
    kind: number,
    amount: number,
  ): number {
    const words = this.#words;
    for (;;) {
      const index = this.#free.pop() ?? this.#next++;
      if (index >= this.#entries) {
        this.#next = this.#entries;
        return -1;
      }
      const entry = (worker * this.#entries + index) * RESERVATION_WORDS;
      // Taken: by a former life of this worker, of which main has not heard the end.
      if (this.#swap(entry, 0, -generation)) {
        words[entry + ReservationWord.at] = at;
        words[entry + ReservationWord.tag] = tag;
        words[entry + ReservationWord.kind] = kind;
        words[entry + ReservationWord.amount] = amount;
        this.#atomics.store(words, entry + ReservationWord.state, generation);
        return entry;
      }
    }
  }

  left(entry: number, generation: number, amount: number): void {
    // A worker that was given up for dead and comes back may find its entry the next one's.
    if (!this.holds(entry, generation)) return;
    this.#atomics.store(this.#words, entry + ReservationWord.amount, amount);
  }

  holds(entry: number, generation: number): boolean {
    return this.#atomics.load(this.#words, entry + ReservationWord.state) === generation;
  }

  close(entry: number, generation: number): boolean {
    if (!this.#swap(entry, generation, 0)) return false;
    this.#free.push((entry / RESERVATION_WORDS) % this.#entries);
    return true;
  }

  reclaim(
    worker: number,
    generation: number,
    give: (at: number, tag: number, kind: number, amount: number) => void,
  ): number {
    const words = this.#words;
    let freed = 0;
    for (let index = 0; index < this.#entries; index++) {
      const entry = (worker * this.#entries + index) * RESERVATION_WORDS;
      const state = this.#atomics.load(words, entry + ReservationWord.state);
      if (state === -generation) this.#swap(entry, state, 0);
      if (state !== generation) continue;
      const at = words[entry + ReservationWord.at];
      const tag = words[entry + ReservationWord.tag];
      const kind = words[entry + ReservationWord.kind];
      const amount = this.#atomics.load(words, entry + ReservationWord.amount);
      if (!this.#swap(entry, generation, 0)) continue;
      give(at, tag, kind, amount);
      freed++;
    }
    return freed;
  }

  held(worker: number): number {
    let held = 0;
    for (let index = 0; index < this.#entries; index++) {
      const entry = (worker * this.#entries + index) * RESERVATION_WORDS;
      if (this.#atomics.load(this.#words, entry + ReservationWord.state) !== 0) held++;
    }
    return held;
  }

  #swap(entry: number, from: number, to: number): boolean {
    const at = entry + ReservationWord.state;
    return this.#atomics.compareExchange(this.#words, at, from, to) === from;
  }
}
