/** Who runs where: name, entry, how many. Thread rows in shared memory follow this order. */
export const roster = {
  main: { rows: 1, entry: undefined },
  coordinator: { rows: 1, entry: 'coordinator/entry' },
  worker: { rows: 'threads.workers', entry: 'worker/entry' },
  jobs: { rows: 0, entry: 'worker/jobs' },
  simulate: { rows: 0, entry: 'simulate/entry' },
} as const;

export const MAIN_ROW = 0;
export const COORDINATOR_ROW = 1;
/** Worker n has row WORKER_ROW + n. */
export const WORKER_ROW = 2;
export const WORKERS_MAX = 64;

/** In whose name slab blocks are claimed: a thread's row and generation. Never 0. */
export function slabOwner(row: number, generation: number): number {
  return (row << 24) | (generation & 0xffffff) | 0;
}
