/** CPU time of a process, thread by thread, in nanoseconds: the only clock these benches trust. */
import { readdirSync, readFileSync } from 'node:fs';

/** First field of /proc/…/schedstat: time spent on the CPU. NaN when the text is none. */
export function onCpuNs(text: string): number {
  const match = /^(\d+) \d+ \d+\s*$/.exec(text);
  return match ? Number(match[1]) : Number.NaN;
}

/** Thread id to time. A thread that ends while we read is left out. */
export function threadTimes(pid: number | 'self'): Map<number, number> {
  const folder = `/proc/${pid}/task`;
  const times = new Map<number, number>();
  for (const tid of readdirSync(folder)) {
    try {
      times.set(Number(tid), onCpuNs(readFileSync(`${folder}/${tid}/schedstat`, 'latin1')));
    } catch {
      // It ended.
    }
  }
  return times;
}

/** What was used between two readings: by the whole process, and by its main thread. */
export function spent(
  pid: number,
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): { all: number; main: number } {
  let all = 0;
  for (const [tid, ns] of after) all += ns - (before.get(tid) ?? 0);
  return { all, main: (after.get(pid) ?? 0) - (before.get(pid) ?? 0) };
}
