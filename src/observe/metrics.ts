/**
 * Every metric: name, kind, help, labels. Indexes into a thread's counter block follow from the table and from the
 * dimensions (error codes, rows of upstreams), so that counting is an addition to a typed array. docs/METRICS.md is made from it.
 */

import { encodingNames, refusalReasons } from '../codec/negotiate.ts';
import { codes } from '../errors.ts';
import { UPSTREAM_ROWS } from '../memory/layout.ts';
import { dialectNames } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import { limitScopes, limitVerdicts } from '../policy/limit/limit-scopes.ts';
import { stages } from '../stages.ts';
import { operationSeconds, seconds, tokenCounts } from './buckets.ts';

/** What a label may say: closed lists only, so that the number of series is known at start. */
export type Dimension =
  | 'stage'
  | 'dialect'
  | 'upstream'
  | 'code'
  | 'direction'
  | 'outcome'
  | 'served'
  | 'token'
  | 'scope'
  | 'verdict'
  | 'encoding'
  | 'reason'
  | 'thread';

export interface Metric {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly Dimension[];
  readonly buckets?: readonly number[];
  /** How the threads' values become one: their sum, or the greatest. */
  readonly merge?: 'max';
}

export const metrics = {
  // The guide's five.
  websocket_connections_total: { kind: 'gauge', help: 'Sessions open now.', labels: [] },
  websocket_messages_sent_total: { kind: 'counter', help: 'Messages sent to clients.', labels: [] },
  websocket_messages_received_total: {
    kind: 'counter',
    help: 'Messages received from clients.',
    labels: [],
  },
  websocket_latency_seconds: {
    kind: 'histogram',
    help: 'From a request to its first delta at the socket.',
    labels: [],
    buckets: seconds,
  },
  websocket_errors_total: { kind: 'counter', help: 'Errors of any kind.', labels: [] },
  // Ours.
  millrace_sessions_opened_total: {
    kind: 'counter',
    help: 'Sessions accepted.',
    labels: ['dialect'],
  },
  millrace_handshakes_refused_total: {
    kind: 'counter',
    help: 'Upgrades refused.',
    labels: ['code'],
  },
  millrace_bytes_total: {
    kind: 'counter',
    help: 'Payload bytes of messages.',
    labels: ['direction'],
  },
  millrace_encoded_bytes_total: {
    kind: 'counter',
    help: 'Bytes of compressed messages of clients, compressed.',
    labels: ['encoding', 'direction'],
  },
  millrace_decoded_bytes_total: {
    kind: 'counter',
    help: 'Bytes of compressed messages of clients, before they were compressed.',
    labels: ['encoding', 'direction'],
  },
  millrace_encodings_refused_total: {
    kind: 'counter',
    help: 'Wishes for an encoding that were not granted.',
    labels: ['reason'],
  },
  millrace_stage_total: { kind: 'counter', help: 'Things a stage handled.', labels: ['stage'] },
  millrace_errors_total: { kind: 'counter', help: 'Failures by code.', labels: ['code'] },
  millrace_streams_started_total: {
    kind: 'counter',
    help: 'Streams started.',
    labels: ['dialect'],
  },
  millrace_streams_ended_total: { kind: 'counter', help: 'Streams ended.', labels: ['outcome'] },
  millrace_streams_running: { kind: 'gauge', help: 'Streams running now.', labels: [] },
  millrace_first_delta_seconds: {
    kind: 'histogram',
    help: 'From the attempt to its first delta.',
    labels: ['upstream'],
    buckets: seconds,
  },
  millrace_stream_seconds: {
    kind: 'histogram',
    help: 'Length of a stream.',
    labels: [],
    buckets: seconds,
  },
  millrace_upstream_attempts_total: {
    kind: 'counter',
    help: 'Attempts at an upstream.',
    labels: ['upstream'],
  },
  millrace_upstream_failures_total: {
    kind: 'counter',
    help: 'Attempts that failed.',
    labels: ['upstream'],
  },
  millrace_failovers_total: {
    kind: 'counter',
    help: 'Moves to another upstream before the first delta.',
    labels: [],
  },
  millrace_upstream_resumes_total: {
    kind: 'counter',
    help: 'Times an upstream was asked for the rest of an answer that had broken off.',
    labels: ['upstream'],
  },
  millrace_hedges_total: {
    kind: 'counter',
    help: 'Second attempts beside a first one whose first delta was late.',
    labels: [],
  },
  millrace_hedges_won_total: {
    kind: 'counter',
    help: 'Second attempts that answered first.',
    labels: [],
  },
  millrace_continuations_total: {
    kind: 'counter',
    help: 'Answers that broke off and that another upstream went on with.',
    labels: [],
  },
  millrace_retry_budget_exhausted_total: {
    kind: 'counter',
    help: 'Retries not made because the budget was used up.',
    labels: [],
  },
  millrace_deltas_total: { kind: 'counter', help: 'Deltas received from upstreams.', labels: [] },
  millrace_deltas_coalesced_total: {
    kind: 'counter',
    help: 'Deltas that left merged into an earlier one.',
    labels: [],
  },
  millrace_tokens_total: {
    kind: 'counter',
    help: 'Tokens reported by upstreams.',
    labels: ['direction'],
  },
  millrace_scan_fallback_total: {
    kind: 'counter',
    help: 'Upstream events that needed a full JSON parse.',
    labels: [],
  },
  millrace_ring_full_total: {
    kind: 'counter',
    help: 'Writes that had to wait for space in a ring.',
    labels: [],
  },
  millrace_backpressure_total: {
    kind: 'counter',
    help: 'Times a stream was paused because its client reads slowly.',
    labels: [],
  },
  millrace_slow_clients_total: {
    kind: 'counter',
    help: 'Sessions closed because the client did not read.',
    labels: [],
  },
  millrace_sends_dropped_total: {
    kind: 'counter',
    help: 'Sends a backend dropped; a bug if ever above 0.',
    labels: [],
  },
  millrace_workers_lost_total: {
    kind: 'counter',
    help: 'Worker threads lost and replaced.',
    labels: [],
  },
  millrace_reruns_total: {
    kind: 'counter',
    help: 'Uncommitted requests run again after a worker was lost.',
    labels: [],
  },
  millrace_routes_abandoned_total: {
    kind: 'counter',
    help: 'Handlers of routes that did not end when their client had left.',
    labels: [],
  },
  millrace_hooks_failed_total: {
    kind: 'counter',
    help: 'Hooks that threw, answered nonsense, or did not answer in time.',
    labels: [],
  },
  millrace_overload_refusals_total: {
    kind: 'counter',
    help: 'Turns refused because of memory or the lag of the main thread.',
    labels: [],
  },
  millrace_limit_checks_total: {
    kind: 'counter',
    help: 'Questions to the limits, by what they are about; shadowed: it would have been refused; paced: it passes when its turn has come.',
    labels: ['scope', 'verdict'],
  },
  millrace_refusing: { kind: 'gauge', help: '1 while new turns are refused.', labels: [] },
  millrace_memory_bytes: {
    kind: 'gauge',
    help: 'Bytes held for clients, rings included.',
    labels: [],
  },
  millrace_held_bytes: { kind: 'gauge', help: 'Bytes held for clients.', labels: [] },
  // Looked up at a scrape.
  millrace_upstream_in_flight: {
    kind: 'gauge',
    help: 'Streams running at an upstream.',
    labels: ['upstream'],
  },
  millrace_upstream_capacity: {
    kind: 'gauge',
    help: 'Most streams at once at an upstream.',
    labels: ['upstream'],
  },
  millrace_upstream_healthy: {
    kind: 'gauge',
    help: '1 unless the last probes of an upstream failed.',
    labels: ['upstream'],
  },
  millrace_upstream_drained: {
    kind: 'gauge',
    help: '1 while an operator keeps new streams away from an upstream.',
    labels: ['upstream'],
  },
  millrace_upstream_circuits_open: {
    kind: 'gauge',
    help: 'Circuits of an upstream that are not closed.',
    labels: ['upstream'],
  },
  millrace_workers_serving: { kind: 'gauge', help: 'Worker threads that serve.', labels: [] },
  millrace_loop_lag_seconds: {
    kind: 'gauge',
    help: 'How late the loop of a thread turned at worst over its last 15 ticks; of all workers, the latest.',
    labels: ['thread'],
    merge: 'max',
  },
  // As OpenTelemetry names them: one operation is one attempt at an upstream.
  gen_ai_client_token_usage: {
    kind: 'histogram',
    help: 'Tokens of a stream, as its upstream reported them.',
    labels: ['served', 'token'],
    buckets: tokenCounts,
  },
  gen_ai_client_operation_duration_seconds: {
    kind: 'histogram',
    help: 'Length of an attempt, whatever its outcome.',
    labels: ['served'],
    buckets: operationSeconds,
  },
  gen_ai_client_operation_time_to_first_chunk_seconds: {
    kind: 'histogram',
    help: 'From an attempt to its first delta.',
    labels: ['served'],
    buckets: operationSeconds,
  },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
export type HistogramName = {
  [N in MetricName]: (typeof metrics)[N] extends { kind: 'histogram' } ? N : never;
}[MetricName];

export const directions = ['in', 'out'] as const;
export const outcomes = ['finished', 'failed', 'cancelled'] as const;
export const tokenTypes = ['input', 'output'] as const;
export const threadNames = ['main', 'worker'] as const;

/** The label values in index order. Upstreams are counted by their row; which name a row has now, only main knows. */
export type Dimensions = Readonly<Record<Dimension, readonly string[]>>;

export function dimensionsOf(options: Options): Dimensions {
  return {
    stage: stages.map((s) => s.name),
    dialect: [...dialectNames, ...Object.keys(options.dialects)],
    upstream: Array.from({ length: UPSTREAM_ROWS }, (_, row) => String(row)),
    code: codes,
    direction: directions,
    outcome: outcomes,
    served: servedModels(options.upstreams),
    token: tokenTypes,
    scope: limitScopes,
    verdict: limitVerdicts,
    encoding: encodingNames,
    reason: refusalReasons,
    thread: threadNames,
  };
}

/** Series beyond these say only the provider: a configuration may list thousands of models. */
const SERVED_MAX = 100;
const OTHER = '_OTHER';

/** Who answers for which model, `provider model`; a model that no upstream names is `_OTHER` (clients could make up any number). */
function servedModels(upstreams: Options['upstreams']): string[] {
  const named = upstreams.flatMap(({ provider, models }) =>
    models.map((model) => servedName(provider, model)),
  );
  const rest = upstreams.map(({ provider }) => servedName(provider, OTHER));
  rest.push(servedName(OTHER, OTHER));
  return [...new Set([...[...new Set(named)].slice(0, SERVED_MAX), ...rest])];
}

function servedName(provider: string, model: string): string {
  return `${provider} ${model}`;
}

/** Position of an answer's series in the dimension `served`. */
export function servedAt({ served }: Dimensions, provider: string, model: string): number {
  const at = served.indexOf(servedName(provider, model));
  if (at >= 0) return at;
  const other = served.indexOf(servedName(provider, OTHER));
  return other >= 0 ? other : served.length - 1;
}

/** The labels of one position in a dimension. */
export function labelsOf(dimension: Dimension, value: string): Readonly<Record<string, string>> {
  if (dimension === 'token') return { gen_ai_token_type: value };
  if (dimension !== 'served') return { [dimension]: value };
  const blank = value.indexOf(' ');
  return {
    gen_ai_operation_name: 'chat',
    gen_ai_provider_name: genAiProvider(value.slice(0, blank)),
    gen_ai_request_model: value.slice(blank + 1),
  };
}

/** The conventions' word for a provider, where they have one. */
export function genAiProvider(provider: string): string {
  return provider.startsWith('openai-') ? 'openai' : provider;
}

/** First index of every metric in a block, and the block's size in numbers. */
export interface Schedule {
  readonly size: number;
  /** Index of a series: labels as positions in their dimension, in the order of the metric's labels. */
  index(name: MetricName, ...labels: readonly number[]): number;
  readonly dimensions: Dimensions;
}

/** A histogram takes buckets + 1 (over the last bound) + 1 (sum) numbers per series. */
function width(metric: Metric): number {
  return metric.kind === 'histogram' ? (metric.buckets?.length ?? 0) + 2 : 1;
}

/** Series that a metric has room for. */
export function seriesCount(metric: Metric, dimensions: Dimensions): number {
  return metric.labels.reduce((n, label) => n * Math.max(1, dimensions[label].length), 1);
}

export function schedule(dimensions: Dimensions): Schedule {
  const first = new Map<string, number>();
  let size = 0;
  for (const [name, metric] of Object.entries(metrics) as [MetricName, Metric][]) {
    first.set(name, size);
    size += seriesCount(metric, dimensions) * width(metric);
  }
  return {
    size,
    dimensions,
    index(name, ...labels) {
      const metric: Metric = metrics[name];
      let series = 0;
      for (const [at, label] of metric.labels.entries()) {
        series = series * Math.max(1, dimensions[label].length) + (labels[at] ?? 0);
      }
      return (first.get(name) ?? 0) + series * width(metric);
    },
  };
}

export const latencyBounds = Float64Array.from(seconds);

const allBounds = new Map(
  (Object.entries(metrics) as [MetricName, Metric][]).map(
    ([name, { buckets }]) => [name, Float64Array.from(buckets ?? [])] as const,
  ),
);

export function boundsOf(name: HistogramName): Float64Array {
  return allBounds.get(name) ?? latencyBounds;
}
