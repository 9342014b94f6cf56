/** The time that all threads of the process agree on: threads begin at different times, and share limits. */

/** What the machine's clock showed when this thread's began. Looked up with the first use: an import alone does not wait for Node's clock to be loaded. */
let beganMs: number | undefined;

/** Milliseconds; never goes back. */
export function sharedNow(): number {
  beganMs ??= began();
  return beganMs + performance.now();
}

function began(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6 - performance.now();
}
