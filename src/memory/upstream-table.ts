/**
 * The upstream table (the board): what everyone knows of the upstreams, and who runs how many streams there.
 *
 *     ┌ head (64 B) ────────────────────────────┐
 *     │ epoch │ upstreams │ workers             │
 *     ├ one row of 64 B per upstream ───────────┤    written by the coordinator (and main's admin door)
 *     │ present health drained weight capacity… │
 *     ├ one row of 32 B per (worker, upstream) ─┤    written by that worker alone; a worker's rows lie together
 *     │ generation inFlight started succeeded…  │
 *     ├ circuits, a few per upstream ───────────┤    written by everyone, see circuit-cells.ts
 *     ├ rests of keys, a few per upstream ──────┤    written by everyone: each word true on its own
 *     └─────────────────────────────────────────┘
 *
 * Who reads: every thread. Which word orders it: `epoch` — the coordinator writes its words, then adds to `epoch`; who loads a
 * new epoch sees all of them. Single words read in between are each true on their own, which is all that picking needs.
 *
 * A dead worker's rows are zeroed once: whoever swaps the row's generation to 0 takes away exactly what it read while that
 * generation still stood there. As it subtracts and does not store 0, a new worker may already count in the row.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import { CIRCUIT_WORDS_PER_UPSTREAM, CircuitCells } from './circuit-cells.ts';
import type { CircuitCell, SharedBytes, UpstreamTable } from './contract.ts';
import {
  BOARD_HEAD_WORDS,
  BoardWord,
  KEYS_PER_UPSTREAM,
  SHARE_ROW_WORDS,
  ShareWord,
  UPSTREAM_ROW_WORDS,
  UpstreamWord,
} from './layout.ts';

/** Where the first upstream's row lies. */
const ROWS_AT = BOARD_HEAD_WORDS;

/** What a dead worker leaves in a row. */
const shareWords = [
  ShareWord.inFlight,
  ShareWord.succeeded,
  ShareWord.failed,
  ShareWord.firstTokenUs,
  ShareWord.firstTokenAt,
  ShareWord.idleSockets,
] as const;

export function allocateUpstreamTable(upstreams: number, workers: number): SharedBytes {
  must(upstreams >= 0 && workers >= 0, 'a table of negative size');
  const shared = new SharedArrayBuffer(4 * wordsFor(upstreams, workers));
  const words = new Int32Array(shared);
  words[BoardWord.upstreams] = upstreams;
  words[BoardWord.workers] = workers;
  return shared;
}

export function openUpstreamTable(
  shared: SharedBytes,
  atomics: AtomicsPort = realAtomics,
): UpstreamTable {
  return new Table(shared, atomics);
}

function wordsFor(upstreams: number, workers: number): number {
  const rows = ROWS_AT + upstreams * UPSTREAM_ROW_WORDS;
  const shares = upstreams * workers * SHARE_ROW_WORDS;
  return rows + shares + upstreams * (CIRCUIT_WORDS_PER_UPSTREAM + KEYS_PER_UPSTREAM);
}

class Table implements UpstreamTable {
  readonly upstreamsMax: number;
  readonly workersMax: number;
  readonly #words: Int32Array;
  readonly #shares: number;
  readonly #workerWords: number;
  readonly #atomics: AtomicsPort;
  readonly #circuits: CircuitCells;
  readonly #keys: number;

  constructor(shared: SharedBytes, atomics: AtomicsPort) {
    const words = new Int32Array(shared);
    this.upstreamsMax = words[BoardWord.upstreams];
    this.workersMax = words[BoardWord.workers];
    must(words.length === wordsFor(this.upstreamsMax, this.workersMax), 'no upstream table');
    this.#words = words;
    this.#shares = ROWS_AT + this.upstreamsMax * UPSTREAM_ROW_WORDS;
    this.#workerWords = this.upstreamsMax * SHARE_ROW_WORDS;
    this.#atomics = atomics;
    const circuitsAt = this.#shares + this.workersMax * this.#workerWords;
    this.#circuits = new CircuitCells(words, circuitsAt, this.upstreamsMax, atomics);
    this.#keys = circuitsAt + this.upstreamsMax * CIRCUIT_WORDS_PER_UPSTREAM;
  }

  epoch(): number {
    return this.#atomics.load(this.#words, BoardWord.epoch);
  }

  glance(): number {
    return this.#words[BoardWord.epoch];
  }

  bump(): void {
    this.#atomics.add(this.#words, BoardWord.epoch, 1);
  }

  get(upstream: number, word: number): number {
    return this.#words[this.#row(upstream) + word];
  }

  set(upstream: number, word: number, value: number): void {
    this.#atomics.store(this.#words, this.#row(upstream) + word, value);
  }

  compareAndSet(upstream: number, word: number, expected: number, value: number): boolean {
    const at = this.#row(upstream) + word;
    const before = this.#atomics.compareExchange(this.#words, at, expected | 0, value | 0);
    return before === (expected | 0);
  }

  add(upstream: number, word: number, n: number): number {
    return (this.#atomics.add(this.#words, this.#row(upstream) + word, n) + n) | 0;
  }

  circuit(upstream: number, model: number): CircuitCell {
    return this.#circuits.cell(upstream, model);
  }

  clearCircuits(upstream: number): void {
    this.#circuits.clear(upstream);
  }

  keyRest(upstream: number, key: number): number {
    return this.#words[this.#key(upstream, key)];
  }

  setKeyRest(upstream: number, key: number, until: number): void {
    this.#atomics.store(this.#words, this.#key(upstream, key), until);
  }

  clearKeys(upstream: number): void {
    for (let key = 0; key < KEYS_PER_UPSTREAM; key++) this.setKeyRest(upstream, key, 0);
  }

  inFlight(upstream: number): number {
    const words = this.#words;
    let sum = 0;
    let at = this.#share(upstream, 0) + ShareWord.inFlight;
    for (let worker = 0; worker < this.workersMax; worker++) {
      sum += words[at];
      at += this.#workerWords;
    }
    return sum;
  }

  inFlightOf(upstreams: readonly number[], into: Float64Array): void {
    const words = this.#words;
    const step = this.#workerWords;
    const { workersMax, upstreamsMax } = this;
    const first = this.#shares + ShareWord.inFlight;
    for (let i = 0; i < upstreams.length; i++) {
      const upstream = upstreams[i];
      must(upstream >= 0 && upstream < upstreamsMax, 'an upstream that does not exist');
      let at = first + upstream * SHARE_ROW_WORDS;
      let sum = words[at];
      for (let worker = 1; worker < workersMax; worker++) sum += words[(at += step)];
      into[i] = sum;
    }
  }

  weight(upstream: number): number {
    return this.#words[this.#row(upstream) + UpstreamWord.weight];
  }

  acquire(upstream: number, worker: number): void {
    this.#atomics.add(this.#words, this.#share(upstream, worker) + ShareWord.inFlight, 1);
  }

  tryAcquire(upstream: number, worker: number): boolean {
    const at = this.#share(upstream, worker) + ShareWord.inFlight;
    this.#atomics.add(this.#words, at, 1);
    // First the word, then the sum: of two that meet at the last place each sees the other. Both may go back and look again; never do both get it.
    if (this.#sum(upstream) <= this.get(upstream, UpstreamWord.capacity)) return true;
    this.#lower(at);
    return false;
  }

  release(upstream: number, worker: number, succeeded: boolean): void {
    const share = this.#share(upstream, worker);
    const outcome = succeeded ? ShareWord.succeeded : ShareWord.failed;
    this.#atomics.add(this.#words, share + outcome, 1);
    this.#lower(share + ShareWord.inFlight);
  }

  share(upstream: number, worker: number, word: number): number {
    return this.#words[this.#share(upstream, worker) + word];
  }

  setShare(upstream: number, worker: number, word: number, value: number): void {
    this.#atomics.store(this.#words, this.#share(upstream, worker) + word, value);
  }

  claim(worker: number, generation: number): void {
    must(generation !== 0, 'generation 0 is nobody');
    for (let upstream = 0; upstream < this.upstreamsMax; upstream++) {
      const at = this.#share(upstream, worker) + ShareWord.generation;
      const before = this.#atomics.load(this.#words, at);
      if (before !== 0 && before !== generation) this.#zero(upstream, worker, before);
      this.#atomics.store(this.#words, at, generation);
    }
  }

  reclaim(worker: number, generation: number): boolean {
    must(generation !== 0, 'generation 0 is nobody');
    let zeroed = false;
    for (let upstream = 0; upstream < this.upstreamsMax; upstream++) {
      if (this.#zero(upstream, worker, generation)) zeroed = true;
    }
    return zeroed;
  }

  /** Takes what a dead generation left out of one row. False when the row is not (or no longer) of that generation. */
  #zero(upstream: number, worker: number, generation: number): boolean {
    const row = this.#share(upstream, worker);
    const left = shareWords.map((word) => this.#atomics.load(this.#words, row + word));
    const at = row + ShareWord.generation;
    if (this.#atomics.compareExchange(this.#words, at, generation, 0) !== generation) return false;
    for (const [index, word] of shareWords.entries()) {
      this.#atomics.sub(this.#words, row + word, left[index]);
    }
    return true;
  }

  /** As `inFlight`, ordered after what this thread wrote. */
  #sum(upstream: number): number {
    let sum = 0;
    let at = this.#share(upstream, 0) + ShareWord.inFlight;
    for (let worker = 0; worker < this.workersMax; worker++) {
      sum += this.#atomics.load(this.#words, at);
      at += this.#workerWords;
    }
    return sum;
  }

  /** One less, but never below 0: a release of a stream that was reclaimed meanwhile counts nothing. */
  #lower(at: number): void {
    let seen = this.#atomics.load(this.#words, at);
    while (seen > 0) {
      const before = this.#atomics.compareExchange(this.#words, at, seen, seen - 1);
      if (before === seen) return;
      seen = before;
    }
  }

  #row(upstream: number): number {
    must(upstream >= 0 && upstream < this.upstreamsMax, 'an upstream that does not exist');
    return ROWS_AT + upstream * UPSTREAM_ROW_WORDS;
  }

  #key(upstream: number, key: number): number {
    must(upstream >= 0 && upstream < this.upstreamsMax, 'an upstream that does not exist');
    must(key >= 0 && key < KEYS_PER_UPSTREAM, 'a key that does not exist');
    return this.#keys + upstream * KEYS_PER_UPSTREAM + key;
  }

  #share(upstream: number, worker: number): number {
    must(
      upstream >= 0 && upstream < this.upstreamsMax && worker >= 0 && worker < this.workersMax,
      'an upstream or a worker that does not exist',
    );
    return this.#shares + worker * this.#workerWords + upstream * SHARE_ROW_WORDS;
  }
}
