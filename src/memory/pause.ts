/**
 * Sleep of a thread for less than a timer's millisecond. One word that nobody else has: no one writes it and no one reads it, so
 * nothing is ordered by it; the wait always ends by its time.
 */
const word = new Int32Array(new SharedArrayBuffer(4));

/** Stops this thread, and whatever it serves, for `ms` (fractions too). Costs no CPU. Not for the thread that holds clients' sockets. */
export function pause(ms: number): void {
  Atomics.wait(word, 0, 0, ms);
}
