/**
 * The counters as Prometheus text. Counting happens in the threads' own blocks; here a scrape reads their sum once and hands
 * it to prom-client as finished values, so that nothing is counted twice and nothing is kept between scrapes.
 */
import { collectDefaultMetrics, type Metric as PromMetric, Registry } from 'prom-client';
import { type Metric, type MetricName, metrics, type Schedule } from './metrics.ts';

export interface ExporterOptions {
  readonly schedule: Schedule;
  /** The sum over all threads, living and dead, at this moment. */
  readonly read: () => Float64Array;
  /** Also the process's own metrics (CPU, memory, event loop, garbage collection), as prom-client names them. */
  readonly processMetrics?: boolean;
}

export interface Exporter {
  readonly contentType: string;
  text(): Promise<string>;
}

/** One line of the exposition; `metricName` differs from the metric's for a histogram's parts. */
interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function createExporter(options: ExporterOptions): Exporter {
  const { schedule, read, processMetrics = false } = options;
  const registry = new Registry();
  let block = read();
  for (const [name, metric] of Object.entries(metrics) as [MetricName, Metric][]) {
    const series = seriesOf(metric, schedule);
    const get = () => ({
      name,
      help: metric.help,
      type: metric.kind,
      aggregator: 'sum',
      values: series.flatMap(({ labels, at }) => {
        const first = schedule.index(name, ...at);
        return samples(name, metric, labels, block, first);
      }),
    });
    // A metric is what answers `get`; prom-client's own classes keep values, ours borrow them.
    registry.registerMetric({ name, get } as unknown as PromMetric);
  }
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return {
    contentType: registry.contentType,
    text() {
      // prom-client asks all metrics before it first waits: one scrape shows one moment.
      block = read();
      return registry.metrics();
    },
  };
}

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Positions in the dimensions, in the order of the metric's labels. */
  readonly at: readonly number[];
}

/** All label combinations of this run; none for a dimension without values. */
function seriesOf(metric: Metric, schedule: Schedule): Series[] {
  let all: Series[] = [{ labels: {}, at: [] }];
  for (const label of metric.labels) {
    all = all.flatMap(({ labels, at }) =>
      schedule.dimensions[label].map((value, index) => ({
        labels: { ...labels, [label]: value },
        at: [...at, index],
      })),
    );
  }
  return all;
}

function samples(
  name: string,
  metric: Metric,
  labels: Series['labels'],
  block: Float64Array,
  first: number,
): Sample[] {
  if (metric.kind !== 'histogram') return [{ labels, value: block[first] }];
  const bounds = metric.buckets ?? [];
  const found: Sample[] = [];
  let count = 0;
  for (const [index, bound] of [...bounds, Number.POSITIVE_INFINITY].entries()) {
    // Each value is in one bucket of the block; Prometheus wants "at most this bound".
    count += block[first + index];
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
    found.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
  }
  const sum = block[first + bounds.length + 1];
  found.push({ metricName: `${name}_sum`, labels, value: sum });
  found.push({ metricName: `${name}_count`, labels, value: count });
  return found;
}
