/**
 * The operations that order shared words, as a port. The default is the language's `Atomics` (sequentially consistent, so any
 * two threads agree on one order of them); a test puts its own in and stops a thread between any two of them.
 *
 * Plain reads and writes elsewhere in memory/ are ordered only through these: written before a `store`, seen after the `load`
 * which reads that store.
 */
export interface AtomicsPort {
  /** A plain read, which may be old: for what an atomic operation behind it confirms. */
  peek(words: Int32Array, at: number): number;
  load(words: Int32Array, at: number): number;
  store(words: Int32Array, at: number, value: number): number;
  /** Returns the value before. */
  add(words: Int32Array, at: number, n: number): number;
  /** Returns the value before. */
  sub(words: Int32Array, at: number, n: number): number;
  /** Returns the value before. */
  exchange(words: Int32Array, at: number, value: number): number;
  /** Returns the value before: the swap happened when it equals `expected`. */
  compareExchange(words: Int32Array, at: number, expected: number, value: number): number;
}

export const realAtomics: AtomicsPort = {
  peek: (words, at) => words[at],
  load: (words, at) => Atomics.load(words, at),
  store: (words, at, value) => Atomics.store(words, at, value),
  add: (words, at, n) => Atomics.add(words, at, n),
  sub: (words, at, n) => Atomics.sub(words, at, n),
  exchange: (words, at, n) => Atomics.exchange(words, at, n),
  compareExchange: (words, at, expected, value) =>
    Atomics.compareExchange(words, at, expected, value),
};

/** The same for words that one thread has alone: faster, and they order nothing. */
export const plainAtomics: AtomicsPort = {
  peek: (words, at) => words[at],
  load: (words, at) => words[at],
  store(words, at, value) {
    words[at] = value;
    return value;
  },
  add(words, at, n) {
    const before = words[at];
    words[at] = before + n;
    return before;
  },
  sub(words, at, n) {
    const before = words[at];
    words[at] = before - n;
    return before;
  },
  exchange(words, at, value) {
    const before = words[at];
    words[at] = value;
    return before;
  },
  compareExchange(words, at, expected, value) {
    const before = words[at];
    if (before === expected) words[at] = value;
    return before;
  },
};
