/** What a scrape looks up instead of having it counted: the upstream table and the crew, written into main's own block. */
import type { CounterBlock, UpstreamTable } from '../memory/contract.ts';
import { CIRCUITS_PER_UPSTREAM, UpstreamWord } from '../memory/layout.ts';
import type { MetricName, Schedule } from '../observe/metrics.ts';
import { Circuit, circuitState } from '../policy/circuit.ts';
import { Health } from '../policy/health.ts';

export interface GaugeSources {
  readonly block: CounterBlock;
  readonly schedule: Schedule;
  readonly table: UpstreamTable;
  /** Names by row; '' = no upstream ever had it. */
  readonly upstreams: readonly string[];
  /** Workers that serve now. */
  readonly serving: () => number;
}

export function writeGauges(sources: GaugeSources): void {
  const { block, schedule, table, upstreams, serving } = sources;
  const set = (name: MetricName, value: number, ...labels: number[]) =>
    block.set(schedule.index(name, ...labels), value);
  set('millrace_workers_serving', serving());
  for (const [at, name] of upstreams.entries()) {
    if (name === '') continue;
    // A row that another one of its name replaced says nothing but what still runs there: rows of one name are added up.
    const present = table.get(at, UpstreamWord.present) !== 0;
    set('millrace_upstream_in_flight', table.inFlight(at), at);
    const healthy = present && table.get(at, UpstreamWord.health) !== Health.failed;
    const word = (which: number) => (present ? table.get(at, which) : 0);
    set('millrace_upstream_capacity', word(UpstreamWord.capacity), at);
    set('millrace_upstream_healthy', healthy ? 1 : 0, at);
    set('millrace_upstream_drained', word(UpstreamWord.drained), at);
    set('millrace_upstream_circuits_open', present ? openCircuits(table, at) : 0, at);
  }
}

function openCircuits(table: UpstreamTable, upstream: number): number {
  let open = 0;
  for (let cell = 0; cell < CIRCUITS_PER_UPSTREAM; cell++) {
    if (circuitState(table.circuit(upstream, cell)) !== Circuit.closed) open += 1;
  }
  return open;
}
