/** Which row of shared memory belongs to which thread. */
export const MAIN_ROW = 0;
export const COORDINATOR_ROW = 1;
/** Worker n has row WORKER_ROW + n. */
export const WORKER_ROW = 2;

/** In whose name slab blocks are claimed: a thread's row and generation. Never 0. */
export function slabOwner(row: number, generation: number): number {
  return (row << 24) | (generation & 0xffffff) | 0;
}

/** In whose name slots of the limit table are claimed: 1 to 192 for workers 0 to 63. Three lives of one worker in a row differ. */
export function limitOwner(worker: number, generation: number): number {
  return 1 + 3 * worker + (generation % 3);
}
