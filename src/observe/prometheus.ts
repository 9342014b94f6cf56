/**
 * The counters as Prometheus text. Counting happens in the threads' own blocks; here a scrape reads their sum once and hands
 * it to prom-client as finished values, so that nothing is counted twice and nothing is kept between scrapes.
 */
import type { Metric as PromMetric, Registry } from 'prom-client';
import { MillraceError } from '../errors.ts';
import type { Exemplar, Exemplars } from './exemplars.ts';
import { labelsOf, type Metric, type MetricName, metrics, type Schedule } from './metrics.ts';

/** What there is to tell; undefined until the engine runs. */
export interface Counted {
  readonly schedule: Schedule;
  /** The sum over all threads, living and dead, at this moment. */
  read(): Float64Array;
  /** The upstreams' names by row; '' = no upstream ever had it. Rows of one name are one series. */
  upstreams(): readonly string[];
  readonly exemplars?: Exemplars;
}

/** What we need of a Registry of prom-client, of whichever version the application has. */
export interface MetricsRegistry {
  registerMetric(metric: object): void;
  removeSingleMetric(name: string): void;
  getSingleMetric(name: string): unknown;
}

/** A scrape's answer. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

export interface Exporter {
  readonly contentType: string;
  text(): Promise<string>;
  /** In the format that this Accept header prefers: OpenMetrics (with exemplars), or Prometheus text. */
  answer(accept: string | undefined): Promise<Exposition>;
  /** Adds every metric to a registry of the application; the answer takes them out again. @throws MILLRACE_METRICS_TAKEN */
  register(registry: MetricsRegistry): () => void;
}

/** One line of the exposition; `metricName` differs from the metric's for a histogram's parts. */
interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar?: Exemplar;
}

/** How often the lag of the event loop is sampled: rarely enough to cost an idle process nothing. */
const LAG_PRECISION_MS = 100;

/** With `processMetrics` its own text has the process's metrics too (CPU, memory, event loop), as prom-client names them. */
export function createExporter(
  counted: () => Counted | undefined,
  processMetrics = false,
): Exporter {
  const moment = new Moment(counted);
  let made: ReturnType<typeof registries> | undefined;
  const both = () => (made ??= registries(moment, processMetrics));
  return {
    async answer(accept) {
      const { plain, open } = await both();
      const chosen = prefersOpenMetrics(accept) ? open : plain;
      return { contentType: chosen.contentType, text: await chosen.metrics() };
    },
    contentType: PLAIN,
    text: async () => (await both()).plain.metrics(),
    register: (theirs) => register(theirs, moment),
  };
}

/** Prometheus text, as prom-client names it. */
const PLAIN = 'text/plain; version=0.0.4; charset=utf-8';

/** The library is loaded by the first scrape: a start does not wait for it. */
async function registries(moment: Moment, processMetrics: boolean) {
  const { collectDefaultMetrics, Registry: Made } = await import('prom-client');
  const plain: Registry = new Made();
  // Its metrics are objects of their own: it renames its counters.
  const open = new Made();
  open.setContentType(Made.OPENMETRICS_CONTENT_TYPE as typeof open.contentType);
  for (const registry of [plain, open]) {
    register(registry, moment);
    if (processMetrics)
      collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  }
  return { plain, open };
}

/** A registry asks all its metrics before it first waits: all that is read in one turn is one moment. */
class Moment {
  readonly #counted: () => Counted | undefined;
  #block: Float64Array | undefined = undefined;

  constructor(counted: () => Counted | undefined) {
    this.#counted = counted;
  }

  samples(name: MetricName, metric: Metric): Sample[] {
    const counted = this.#counted();
    if (counted === undefined) return [];
    const { schedule } = counted;
    const block = (this.#block ??= this.#read(counted));
    return seriesOf(name, schedule, counted.upstreams()).flatMap(({ labels, firsts }) =>
      samples(name, metric, labels, block, firsts, counted.exemplars),
    );
  }

  #read(counted: Counted): Float64Array {
    queueMicrotask(() => {
      this.#block = undefined;
    });
    return counted.read();
  }
}

function register(registry: MetricsRegistry, moment: Moment): () => void {
  const all = Object.entries(metrics) as [MetricName, Metric][];
  const taken = all.find(([name]) => registry.getSingleMetric(name) !== undefined);
  if (taken) throw new MillraceError('MILLRACE_METRICS_TAKEN', { name: taken[0] });
  const ours = all.map(([name, metric]) => [name, promMetric(name, metric, moment)] as const);
  for (const [, metric] of ours) registry.registerMetric(metric);
  return () => {
    for (const [name, metric] of ours)
      if (registry.getSingleMetric(name) === metric) registry.removeSingleMetric(name);
  };
}

/** A metric is what answers `get`; prom-client's own classes keep values, ours borrow them. */
function promMetric(name: MetricName, metric: Metric, moment: Moment): PromMetric {
  const own = {
    // A registry of OpenMetrics text writes the name it wants here.
    name: name as string,
    help: metric.help,
    type: metric.kind,
    get: () => ({
      name: own.name,
      help: metric.help,
      type: metric.kind,
      aggregator: 'sum',
      values: moment.samples(name, metric),
    }),
    // Counters never go back, whatever the registry wishes.
    reset() {},
  };
  return own as unknown as PromMetric;
}

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Where its numbers begin in the block; several places are added up. */
  readonly firsts: readonly number[];
}

/** All label combinations; none for a dimension without values. */
function seriesOf(name: MetricName, schedule: Schedule, upstreams: readonly string[]): Series[] {
  let all: { labels: Series['labels']; at: number[] }[] = [{ labels: {}, at: [] }];
  for (const label of metrics[name].labels) {
    const values = label === 'upstream' ? upstreams : schedule.dimensions[label];
    all = all.flatMap(({ labels, at }) =>
      values.flatMap((value, index) =>
        value === ''
          ? []
          : [{ labels: { ...labels, ...labelsOf(label, value) }, at: [...at, index] }],
      ),
    );
  }
  const merged = new Map<string, { labels: Series['labels']; firsts: number[] }>();
  for (const { labels, at } of all) {
    const key = JSON.stringify(labels);
    const series = merged.get(key) ?? { labels, firsts: [] };
    merged.set(key, series);
    series.firsts.push(schedule.index(name, ...at));
  }
  return [...merged.values()];
}

function samples(
  name: string,
  metric: Metric,
  labels: Series['labels'],
  block: Float64Array,
  firsts: readonly number[],
  exemplars: Exemplars | undefined,
): Sample[] {
  const at = (offset: number) => firsts.reduce((sum, first) => sum + block[first + offset], 0);
  if (metric.kind !== 'histogram') return [{ labels, value: at(0) }];
  const bounds = metric.buckets ?? [];
  const found: Sample[] = [];
  let count = 0;
  for (const [index, bound] of [...bounds, Number.POSITIVE_INFINITY].entries()) {
    // Each value is in one bucket of the block; Prometheus wants "at most this bound".
    count += at(index);
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
    const exemplar = firsts.map((first) => exemplars?.of(first + index)).find(Boolean);
    const sample = { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
    found.push(exemplar ? { ...sample, exemplar } : sample);
  }
  const sum = at(bounds.length + 1);
  found.push({ metricName: `${name}_sum`, labels, value: sum });
  found.push({ metricName: `${name}_count`, labels, value: count });
  return found;
}

/** RFC 9110 section 12.5.1, for the two formats there are. Nothing said, or anything: Prometheus text. */
function prefersOpenMetrics(accept: string | undefined): boolean {
  let open = 0;
  let text = 0;
  for (const part of (accept ?? '').slice(0, 1_000).split(',')) {
    const [type, ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    const q = weight === undefined ? 1 : Number(weight.slice(2)) || 0;
    const version = parameters.find((parameter) => parameter.startsWith('version='));
    const known = version === undefined || version === 'version=1.0.0';
    if (type === 'application/openmetrics-text' && known) open = Math.max(open, q);
    else if (type === 'text/plain') text = Math.max(text, q);
  }
  return open > 0 && open >= text;
}
