/** All memory the threads share, made once by the engine and handed to each of them. */
import { allocateCounters } from '../memory/counters.ts';
import { UPSTREAM_ROWS } from '../memory/layout.ts';
import { allocateLedger } from '../memory/ledger.ts';
import { allocateSessionCells } from '../memory/session-cells.ts';
import { allocateSlab } from '../memory/slab.ts';
import { allocateThreadCells } from '../memory/thread-cells.ts';
import { allocateUpstreamTable } from '../memory/upstream-table.ts';
import type { Options } from '../options/schema.ts';
import type { SharedHandles } from './messages.ts';
import { WORKER_ROW } from './roster.ts';

/** `counterSize`: numbers in a counter block (observe/metrics `schedule`). */
export function allocateShared(
  options: Options,
  workers: number,
  counterSize: number,
): SharedHandles {
  const rows = WORKER_ROW + workers;
  return {
    sessions: allocateSessionCells(options.server.sessionsMax),
    threads: allocateThreadCells(rows),
    upstreams: allocateUpstreamTable(UPSTREAM_ROWS, workers),
    slab: allocateSlab(options.memory.slabBytes),
    ledger: allocateLedger(rows),
    counters: allocateCounters(rows, counterSize),
  };
}
