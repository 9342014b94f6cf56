/** All memory the threads share, made once by the engine and handed to each of them. */
import { randomFillSync } from 'node:crypto';
import { allocateCounters } from '../memory/counters.ts';
import { UPSTREAM_ROWS } from '../memory/layout.ts';
import { allocateLedger } from '../memory/ledger.ts';
import { allocateLimitTable } from '../memory/limit-table.ts';
import { allocateReservationBook } from '../memory/reservation-book.ts';
import { allocateSessionCells } from '../memory/session-cells.ts';
import { allocateSlab } from '../memory/slab.ts';
import { allocateThreadCells } from '../memory/thread-cells.ts';
import { allocateUpstreamTable } from '../memory/upstream-table.ts';
import type { Options } from '../options/schema.ts';
import { LIMIT_ROWS } from '../policy/limit/limit-plan.ts';
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
    limits: allocateLimitTable(
      slotsFor(options.limits.keysMax),
      LIMIT_ROWS,
      drawSeed(),
      options.limits.exactRequestsMax,
    ),
    reservations: allocateReservationBook(workers),
    counters: allocateCounters(rows, counterSize),
  };
}

function slotsFor(keysMax: number): number {
  return 2 ** Math.ceil(Math.log2(keysMax));
}

/** Nobody outside may know how keys are hashed. */
function drawSeed(): number {
  return randomFillSync(new Int32Array(1))[0];
}
