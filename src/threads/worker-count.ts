/** How many worker threads, and why: what the cgroup's CPU quota or the cores leave beside main. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const WORKERS_BY_DEFAULT_MAX = 8;

export interface WorkerCount {
  readonly workers: number;
  /** CPUs that all threads together may use, rounded up. */
  readonly cpus: number;
  /** For an operator. */
  readonly why: string;
}

/** Where the answer comes from; a test has its own. */
export interface Machine {
  readonly cores: number;
  /** Undefined when there is no such file. */
  read(file: string): string | undefined;
}

export function workerCount(
  asked: number | undefined,
  machine: Machine = thisMachine(),
): WorkerCount {
  const { cores } = machine;
  const quota = cpuQuota(machine);
  const cpus = quota !== undefined && quota < cores ? Math.ceil(quota) : cores;
  if (asked !== undefined) return { workers: asked, cpus, why: 'threads.workers' };
  const workers = Math.max(1, Math.min(WORKERS_BY_DEFAULT_MAX, cpus - 1));
  const why = cpus === cores ? `${cores} cores` : `a CPU quota of ${quota} of ${cores} cores`;
  return { workers, cpus, why: `${why}, one kept for the main thread` };
}

/** CPUs that the tightest of our cgroups grants; undefined without a limit. */
export function cpuQuota(machine: Machine): number | undefined {
  const groups = (machine.read('/proc/self/cgroup') ?? '').trim().split('\n');
  const quotas = groups.flatMap((line) => {
    const [, controllers = '', path = '/'] = line.split(':');
    return upwards(path).flatMap((at) => quotaAt(machine, controllers, at) ?? []);
  });
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

/** `/a/b` as `/a/b`, `/a` and the root: a limit of a parent is a limit too, and a container may see the root alone. */
function upwards(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return [...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`), ''];
}

/** Version 2 (no controllers are named): cpu.max. Version 1: a quota and a period. */
function quotaAt(machine: Machine, controllers: string, path: string): number | undefined {
  if (controllers === '') {
    const [quota, period] = (machine.read(`/sys/fs/cgroup${path}/cpu.max`) ?? '').trim().split(' ');
    return Number(quota) > 0 && Number(period) > 0 ? Number(quota) / Number(period) : undefined;
  }
  if (!controllers.split(',').includes('cpu')) return undefined;
  const [quota, period] = ['quota', 'period'].map((name) =>
    Number(machine.read(`/sys/fs/cgroup/cpu${path}/cpu.cfs_${name}_us`)),
  );
  return quota > 0 && period > 0 ? quota / period : undefined;
}

const thisMachine = (): Machine => ({
  cores: availableParallelism(),
  read(file) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  },
});
