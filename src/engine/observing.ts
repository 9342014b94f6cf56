/** Whoever watches the engine from main, wired: facts to the observer, counters and gauges to a scrape. */
import type { Configured } from '../main/configured.ts';
import { writeGauges } from '../main/gauges.ts';
import type { Tally } from '../main/tally.ts';
import type { CounterBlock, UpstreamTable } from '../memory/contract.ts';
import { Exemplars } from '../observe/exemplars.ts';
import type { Log } from '../observe/log.ts';
import type { Schedule } from '../observe/metrics.ts';
import { Observer } from '../observe/observer.ts';
import type { Counted } from '../observe/prometheus.ts';
import { type Otel, Spans } from '../observe/spans.ts';
import type { Options } from '../options/schema.ts';
import type { Fact } from '../threads/facts.ts';
import { systemClock, systemTicker } from '../threads/world.ts';

export interface WatchedMemory {
  readonly series: Schedule;
  readonly table: UpstreamTable;
  readonly tally: Tally;
  readonly configured: Configured;
  /** Main's own. */
  readonly block: CounterBlock;
}

/** What is asked of, and told to, the rest of main. */
export interface Watchers {
  /** Workers that serve now. */
  readonly serving: () => number;
  /** Also told everything. */
  readonly hear: (fact: Fact) => void;
  readonly otel: Otel | undefined;
}

export function observing(
  options: Options,
  log: Log,
  { series: schedule, table, tally, block, configured }: WatchedMemory,
  { serving, hear, otel }: Watchers,
): { readonly observer: Observer; readonly counted: Counted } {
  const exemplars = new Exemplars(schedule);
  const { dimensions } = schedule;
  const world = { clock: systemClock, ticker: systemTicker };
  const spans = otel && new Spans(otel);
  const told = { exemplars, dimensions, hear, ...(spans && { spans }) };
  const observer = new Observer({ options, log, ...world, ...told });
  const read = () => {
    writeGauges({ block, schedule, table, upstreams: configured.names(), serving });
    return tally.read();
  };
  const upstreams = () => configured.names();
  return { observer, counted: { schedule, exemplars, read, upstreams } };
}
