/**
 * Counts, one block per thread: plain additions to numbers that no other thread writes.
 *
 *     row 0   ┌ n0 │ n1 │ … │ size − 1 │ (padding to 64 B) ┐      written by thread row 0 alone
 *     row 1   ├ n0 │ n1 │ … │          │                   ┤      written by thread row 1 alone
 *             └ …                                          ┘      read by main at a scrape
 *
 * Who writes: the row's thread; main only after that thread is dead (fold). Who reads: main. No word orders it: a scrape may
 * miss the additions of the last microseconds and sees them at the next one. An aligned 64-bit number does not tear on the
 * machines Node runs on; were it to, one scrape would be wrong and the next right.
 *
 * A histogram is bounds.length buckets (each value in exactly one), one for values over the last bound, and the sum.
 */
import { must } from '../must.ts';
import type { CounterBlock, SharedBytes } from './contract.ts';

const numbersPerLine = 8;

function stride(size: number): number {
  return Math.ceil(size / numbersPerLine) * numbersPerLine;
}

export function allocateCounters(rows: number, size: number): SharedBytes {
  must(rows >= 0 && size >= 0, 'counters of negative size');
  return new SharedArrayBuffer(8 * rows * stride(size));
}

/** The block of one thread. */
export function openCounters(shared: SharedBytes, row: number, size: number): CounterBlock {
  return new Block(rowOf(shared, row, size));
}

/** A copy of a row as it is now. */
export function readCounters(shared: SharedBytes, row: number, size: number): Float64Array {
  return Float64Array.from(rowOf(shared, row, size));
}

/** Adds a dead thread's row to `into` and zeroes it, so that sums over all threads never go back. */
export function foldCounters(
  shared: SharedBytes,
  row: number,
  size: number,
  into: Float64Array,
): void {
  must(into.length >= size, 'a fold into fewer numbers than a row has');
  const from = rowOf(shared, row, size);
  for (let at = 0; at < size; at++) into[at] += from[at];
  from.fill(0);
}

function rowOf(shared: SharedBytes, row: number, size: number): Float64Array {
  const start = 8 * row * stride(size);
  must(row >= 0 && start + 8 * size <= shared.byteLength, 'a counter row that does not exist');
  return new Float64Array(shared, start, size);
}

class Block implements CounterBlock {
  readonly #numbers: Float64Array;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  add(index: number, n = 1): void {
    this.#numbers[index] += n;
  }

  set(index: number, value: number): void {
    this.#numbers[index] = value;
  }

  get(index: number): number {
    return this.#numbers[index];
  }

  observe(index: number, bounds: Float64Array, value: number): void {
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket += 1;
    this.#numbers[index + bucket] += 1;
    this.#numbers[index + bounds.length + 1] += value;
  }
}
