/** All threads' counters as one block, for whoever reads them: the living rows, and what dead workers had counted. */
import type { SharedBytes } from '../memory/contract.ts';
import { foldCounters, readCounters } from '../memory/counters.ts';
import { type Metric, type MetricName, metrics, type Schedule } from '../observe/metrics.ts';
import { WORKER_ROW } from '../threads/roster.ts';

export class Tally {
  readonly #shared: SharedBytes;
  readonly #schedule: Schedule;
  readonly #rows: number;
  /** Counts of workers that are gone: counters never go back. */
  readonly #retired: Float64Array;

  constructor(shared: SharedBytes, schedule: Schedule, workers: number) {
    this.#shared = shared;
    this.#schedule = schedule;
    this.#rows = WORKER_ROW + workers;
    this.#retired = new Float64Array(schedule.size);
  }

  /** A worker's row is free: keeps its counts, forgets its gauges. */
  fold(worker: number): void {
    foldCounters(this.#shared, WORKER_ROW + worker, this.#schedule.size, this.#retired);
    for (const [name, metric] of Object.entries(metrics) as [MetricName, Metric][]) {
      if (metric.kind === 'gauge') this.#retired[this.#schedule.index(name)] = 0;
    }
  }

  /** The sum over all threads, by index of the schedule. */
  read(): Float64Array {
    const sum = this.#retired.slice();
    for (let row = 0; row < this.#rows; row++) {
      const block = readCounters(this.#shared, row, this.#schedule.size);
      for (let at = 0; at < sum.length; at++) sum[at] += block[at];
    }
    return sum;
  }
}
