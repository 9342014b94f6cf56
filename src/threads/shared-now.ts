/** The time that all threads of the process agree on: threads begin at different times, and share limits. */

/** What the machine's clock showed when this thread's began. */
const [beganS, beganNs] = process.hrtime();
const BEGAN_MS = beganS * 1_000 + beganNs / 1e6 - performance.now();

/** Milliseconds; never goes back. */
export function sharedNow(): number {
  return BEGAN_MS + performance.now();
}
