/**
 * The circuits, as a part of the upstream table: for every upstream a fixed number of cells, one per model it serves (models that fall on the same cell
 * share their circuit).
 *
 *     ┌ upstream 0 ─────────────────────────────────────────────────────────────────────┬ upstream 1 …
 *     │ cell 0: state since failuresInRow opens succeeded failed · · │ cell 1: … │ …     │   8 words of 32 bits each
 *     └──────────────────────────────────────────────────────────────────────────────────┴──────────────
 *
 * Who writes: every worker (its streams' outcomes and the transitions they cause) and the coordinator (success rate). Which word orders it: `state`, changed by
 * compare-and-swap alone; the others are read with it, and each is true on its own. What they mean stands in policy/circuit.ts.
 */
import { must } from '../must.ts';
import type { AtomicsPort } from './atomics.ts';
import type { CircuitCell } from './contract.ts';
import { CIRCUIT_CELL_WORDS, CIRCUITS_PER_UPSTREAM } from './layout.ts';

export const CIRCUIT_WORDS_PER_UPSTREAM = CIRCUITS_PER_UPSTREAM * CIRCUIT_CELL_WORDS;

export class CircuitCells {
  readonly #words: Int32Array;
  readonly #from: number;
  readonly #atomics: AtomicsPort;
  readonly #cells: (CircuitCell | undefined)[];

  /** The cells of `upstreams` upstreams lie in `words` from `from` on. */
  constructor(words: Int32Array, from: number, upstreams: number, atomics: AtomicsPort) {
    this.#words = words;
    this.#from = from;
    this.#atomics = atomics;
    this.#cells = Array.from({ length: upstreams * CIRCUITS_PER_UPSTREAM });
  }

  /** The same object each time. */
  cell(upstream: number, model: number): CircuitCell {
    const at = upstream * CIRCUITS_PER_UPSTREAM + (model % CIRCUITS_PER_UPSTREAM);
    must(at >= 0 && at < this.#cells.length, 'a circuit of an upstream that does not exist');
    return (this.#cells[at] ??= this.#at(at));
  }

  /** The row is another upstream's from here on. */
  clear(upstream: number): void {
    const from = this.#from + upstream * CIRCUIT_WORDS_PER_UPSTREAM;
    for (let at = from; at < from + CIRCUIT_WORDS_PER_UPSTREAM; at++) {
      this.#atomics.store(this.#words, at, 0);
    }
  }

  #at(at: number): CircuitCell {
    const words = this.#words;
    const atomics = this.#atomics;
    const base = this.#from + at * CIRCUIT_CELL_WORDS;
    return {
      load: (word) => atomics.load(words, base + word),
      store: (word, value) => void atomics.store(words, base + word, value),
      compareAndSet: (word, expected, value) =>
        atomics.compareExchange(words, base + word, expected | 0, value | 0) === (expected | 0),
      add: (word, n) => (atomics.add(words, base + word, n) + n) | 0,
    };
  }
}
