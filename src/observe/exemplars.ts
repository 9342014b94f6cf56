/**
 * One trace for each bucket of a histogram: the newest stream that fell into it, so that a slow bucket leads to an example.
 * Kept on main, from facts; as many as there are buckets.
 */
import { boundsOf, type HistogramName, type Schedule } from './metrics.ts';

/** As prom-client wants it in a sample. */
export interface Exemplar {
  readonly labelSet: Readonly<Record<string, string>>;
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

export class Exemplars {
  readonly #schedule: Schedule;
  /** By the bucket's index in a block. */
  readonly #byBucket = new Map<number, Exemplar>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  note(
    name: HistogramName,
    labels: readonly number[],
    value: number,
    trace: { readonly traceId: string; readonly spanId: string },
    wallMs: number,
  ): void {
    const bounds = boundsOf(name);
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket += 1;
    const labelSet = { trace_id: trace.traceId, span_id: trace.spanId };
    const at = this.#schedule.index(name, ...labels) + bucket;
    this.#byBucket.set(at, { labelSet, value, timestamp: wallMs / 1_000 });
  }

  /** `at`: the bucket's index in a block. */
  of(at: number): Exemplar | undefined {
    return this.#byBucket.get(at);
  }
}
