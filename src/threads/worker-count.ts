/** How many worker threads, and why: what the cgroup's CPU quota or the cores leave beside main. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const WORKERS_BY_DEFAULT_MAX = 8;

export interface WorkerCount {
  readonly workers: number;
  /** For an operator. */
  readonly why: string;
}

export function workerCount(asked: number | undefined): WorkerCount {
  if (asked !== undefined) return { workers: asked, why: 'threads.workers' };
  const quota = cpuQuota();
  const cores = availableParallelism();
  const room = quota !== undefined && quota < cores ? Math.ceil(quota) : cores;
  const workers = Math.max(1, Math.min(WORKERS_BY_DEFAULT_MAX, room - 1));
  const why = room === cores ? `${cores} cores` : `a CPU quota of ${quota} of ${cores} cores`;
  return { workers, why: `${why}, one kept for the main thread` };
}

/** CPUs the cgroup grants (version 2: cpu.max, version 1: cfs quota); undefined without a limit. */
function cpuQuota(): number | undefined {
  const [quota, period] = (read('/sys/fs/cgroup/cpu.max') ?? '').trim().split(' ');
  if (Number(quota) > 0) return Number(quota) / Number(period);
  const old = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'));
  const oldPeriod = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  return old > 0 && oldPeriod > 0 ? old / oldPeriod : undefined;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
