/** All threads' counters as one block, for whoever reads them: the living rows, and what dead workers had counted. */
import type { SharedBytes } from '../memory/contract.ts';
import { foldCounters, readCounters } from '../memory/counters.ts';
import { must } from '../must.ts';
import {
  type Metric,
  type MetricName,
  metrics,
  type Schedule,
  seriesCount,
} from '../observe/metrics.ts';
import { WORKER_ROW } from '../threads/roster.ts';

export class Tally {
  readonly #shared: SharedBytes;
  readonly #schedule: Schedule;
  readonly #rows: number;
  /** Counts of workers that are gone, so that counters never go back, less what was counted for upstreams that lost their row. */
  readonly #retired: Float64Array;
  /** Where a value is the greatest of all threads', not their sum. */
  readonly #greatest: number[];

  constructor(shared: SharedBytes, schedule: Schedule, workers: number) {
    this.#shared = shared;
    this.#schedule = schedule;
    this.#rows = WORKER_ROW + workers;
    this.#retired = new Float64Array(schedule.size);
    this.#greatest = this.#indexes((metric) => metric.merge === 'max');
  }

  /** A worker's row is free: keeps its counts, forgets its gauges. */
  fold(worker: number): void {
    foldCounters(this.#shared, WORKER_ROW + worker, this.#schedule.size, this.#retired);
    for (const at of this.#indexes((metric) => metric.kind === 'gauge')) this.#retired[at] = 0;
  }

  /**
   * An upstream's row goes to another one, and nothing runs there: what was counted so far belongs to `heir`, a row of the same name, or is
   * forgotten with the name.
   */
  handOver(row: number, heir: number | undefined): void {
    const sum = this.read();
    for (const [name, metric] of Object.entries(metrics) as [MetricName, Metric][]) {
      const label = metric.labels.indexOf('upstream');
      // Gauges are looked up anew at every reading.
      if (label < 0 || metric.kind === 'gauge') continue;
      must(metric.labels.length === 1, 'a metric by upstream has no other label');
      const from = this.#schedule.index(name, row);
      const width = this.#schedule.index(name, 1) - this.#schedule.index(name, 0);
      for (let at = 0; at < width; at++) {
        const counted = sum[from + at];
        this.#retired[from + at] -= counted;
        if (heir !== undefined) {
          this.#retired[this.#schedule.index(name, heir) + at] += counted;
        }
      }
    }
  }

  /** The sum over all threads, by index of the schedule. */
  read(): Float64Array {
    const sum = this.#retired.slice();
    const greatest = this.#greatest.map(() => 0);
    for (let row = 0; row < this.#rows; row++) {
      const block = readCounters(this.#shared, row, this.#schedule.size);
      for (let at = 0; at < sum.length; at++) sum[at] += block[at];
      for (const [n, at] of this.#greatest.entries())
        greatest[n] = Math.max(greatest[n], block[at]);
    }
    for (const [n, at] of this.#greatest.entries()) sum[at] = greatest[n];
    return sum;
  }

  /** All series of the metrics that `which` names. */
  #indexes(which: (metric: Metric) => boolean): number[] {
    const all = Object.entries(metrics) as [MetricName, Metric][];
    return all
      .filter(([, metric]) => which(metric) && metric.kind !== 'histogram')
      .flatMap(([name, metric]) => {
        const first = this.#schedule.index(name);
        const series = seriesCount(metric, this.#schedule.dimensions);
        return Array.from({ length: series }, (_, n) => first + n);
      });
  }
}
