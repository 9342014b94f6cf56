/**
 * One row per thread: who lives, and does it still turn.
 *
 *     row of 64 B     ┌────────────┬───────┬──────┬─────────┬─ … ─┐     last row: the newest generation given to anyone
 *                     │ generation │ state │ beat │ inCodec │     │
 *                     └────────────┴───────┴──────┴─────────┴─ … ─┘
 *     written by        main         both    thread thread
 *
 * Generations are counted over all rows together, so that one number names one incarnation of one thread everywhere
 * (slab blocks, upstream rows, sessions). Which word orders it: each word stands for itself, by atomic loads and stores;
 * `renew` stores the generation last.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import type { SharedBytes, ThreadCells } from './contract.ts';
import { THREAD_ROW_WORDS, ThreadWord } from './layout.ts';

export function allocateThreadCells(rows: number): SharedBytes {
  must(rows >= 1 && Number.isInteger(rows), 'at least one thread');
  return new SharedArrayBuffer(4 * THREAD_ROW_WORDS * (rows + 1));
}

export function openThreadCells(
  shared: SharedBytes,
  atomics: AtomicsPort = realAtomics,
): ThreadCells {
  return new Cells(shared, atomics);
}

class Cells implements ThreadCells {
  readonly #words: Int32Array;
  readonly #rows: number;
  readonly #atomics: AtomicsPort;

  constructor(shared: SharedBytes, atomics: AtomicsPort) {
    this.#words = new Int32Array(shared);
    this.#rows = this.#words.length / THREAD_ROW_WORDS - 1;
    this.#atomics = atomics;
  }

  generation(row: number): number {
    return this.#load(row, ThreadWord.generation);
  }

  renew(row: number): number {
    const newest = this.#rows * THREAD_ROW_WORDS + ThreadWord.generation;
    let generation = (this.#atomics.add(this.#words, newest, 1) + 1) | 0;
    // 0 is nobody, also after four billion incarnations.
    if (generation === 0) generation = (this.#atomics.add(this.#words, newest, 1) + 1) | 0;
    this.#store(row, ThreadWord.state, 0);
    this.#store(row, ThreadWord.beat, 0);
    this.#store(row, ThreadWord.inCodec, 0);
    this.#store(row, ThreadWord.generation, generation);
    return generation;
  }

  state(row: number): number {
    return this.#load(row, ThreadWord.state);
  }

  setState(row: number, state: number): void {
    this.#store(row, ThreadWord.state, state);
  }

  beat(row: number): void {
    this.#atomics.add(this.#words, this.#at(row, ThreadWord.beat), 1);
  }

  beats(row: number): number {
    return this.#load(row, ThreadWord.beat) >>> 0;
  }

  inCodec(row: number): boolean {
    return this.#load(row, ThreadWord.inCodec) === 1;
  }

  setInCodec(row: number, inside: boolean): void {
    this.#store(row, ThreadWord.inCodec, inside ? 1 : 0);
  }

  refusing(row: number): number {
    return this.#load(row, ThreadWord.refusing);
  }

  setRefusing(row: number, why: number): void {
    this.#store(row, ThreadWord.refusing, why);
  }

  #load(row: number, word: number): number {
    return this.#atomics.load(this.#words, this.#at(row, word));
  }

  #store(row: number, word: number, value: number): void {
    this.#atomics.store(this.#words, this.#at(row, word), value);
  }

  #at(row: number, word: number): number {
    must(row >= 0 && row < this.#rows, 'a thread row that does not exist');
    return row * THREAD_ROW_WORDS + word;
  }
}
