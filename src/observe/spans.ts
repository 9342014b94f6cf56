/**
 * Finished streams as OpenTelemetry spans, through the application's own `@opentelemetry/api`: one server span for the stream, one
 * client span for each attempt. Made on main when the stream is over, from times that were taken on its way.
 */
import type { AttemptFact, StreamEnded, StreamTraceFact } from '../threads/facts.ts';
import { genAiProvider } from './metrics.ts';
import type { SpanIds } from './span-ids.ts';

/** What is used of the module `@opentelemetry/api`: it, or anything that behaves like it. */
export interface OtelApi {
  readonly trace: {
    getTracer(name: string, version?: string): OtelTracer;
    setSpan(context: OtelContext, span: OtelSpan): OtelContext;
    setSpanContext(context: OtelContext, span: OtelSpanContext): OtelContext;
  };
  readonly ROOT_CONTEXT: OtelContext;
  createTraceState?(state: string): object;
}
export interface OtelContext {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): OtelContext;
  deleteValue(key: symbol): OtelContext;
}
export interface OtelTracer {
  startSpan(name: string, options: object, context: OtelContext): OtelSpan;
}
export interface OtelSpan {
  setStatus(status: { code: number; message?: string }): unknown;
  end(time?: number): void;
}
export interface OtelSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
  readonly traceState?: never;
}

/** An application's tracing. */
export interface Otel {
  readonly api: OtelApi;
  /** The same that the tracer provider generates ids with: spans then have the ids that upstreams were told. */
  readonly ids?: SpanIds;
}

// The numbers of SpanKind and SpanStatusCode in every 1.x of the API.
const SERVER = 1;
const CLIENT = 2;
const ERROR = 2;

export class Spans {
  readonly #api: OtelApi;
  readonly #ids: SpanIds | undefined;
  readonly #tracer: OtelTracer;

  constructor({ api, ids }: Otel) {
    this.#api = api;
    this.#ids = ids;
    this.#tracer = api.trace.getTracer('millrace');
  }

  /** Throws what the application's tracer throws. */
  stream(fact: StreamEnded): void {
    const { trace } = this.#api;
    const name = `chat ${fact.model}`;
    const span = this.#start(
      name,
      { kind: SERVER, startTime: fact.startedWallMs, attributes: streamAttributes(fact) },
      this.#parent(fact.trace),
      fact.trace?.spanId,
      fact.trace?.traceId,
    );
    const below = trace.setSpan(this.#api.ROOT_CONTEXT, span);
    for (const each of fact.tries) {
      const startTime = fact.startedWallMs + each.startMs;
      const attributes = attemptAttributes(fact, each);
      const made = { kind: CLIENT, startTime, attributes };
      const attempt = this.#start(name, made, below, each.spanId);
      if (isFailure(each.outcome)) attempt.setStatus({ code: ERROR, message: each.outcome });
      attempt.end(startTime + each.durationMs);
    }
    if (fact.error) span.setStatus({ code: ERROR, message: fact.error.code });
    span.end(fact.startedWallMs + fact.durationMs);
  }

  #start(
    name: string,
    options: object,
    context: OtelContext,
    spanId: string | undefined,
    traceId?: string,
  ): OtelSpan {
    if (spanId !== undefined) this.#ids?.next(spanId, traceId);
    try {
      return this.#tracer.startSpan(name, options, context);
    } finally {
      this.#ids?.forget();
    }
  }

  /** The client's span; in a trace of our own, nothing when the ids are ours to choose, else a place in that trace. */
  #parent(trace: StreamTraceFact | undefined): OtelContext {
    const { ROOT_CONTEXT } = this.#api;
    if (!trace || (trace.parentId === undefined && this.#ids)) return ROOT_CONTEXT;
    const { traceId, flags, state } = trace;
    const traceState = state === undefined ? undefined : this.#api.createTraceState?.(state);
    return this.#api.trace.setSpanContext(ROOT_CONTEXT, {
      traceId,
      spanId: trace.parentId ?? trace.spanId,
      traceFlags: flags,
      isRemote: true,
      ...(traceState && { traceState: traceState as never }),
    });
  }
}

function isFailure(outcome: AttemptFact['outcome']): boolean {
  return outcome !== 'finished' && outcome !== 'cancelled';
}

function streamAttributes(fact: StreamEnded): Record<string, unknown> {
  return {
    ...common(fact.model, fact.provider),
    'gen_ai.response.id': fact.responseId,
    ...(fact.finishReason && { 'gen_ai.response.finish_reasons': [fact.finishReason] }),
    ...usage(fact),
    ...(fact.firstDeltaMs >= 0 && {
      'gen_ai.response.time_to_first_chunk': fact.firstDeltaMs / 1000,
    }),
    ...(fact.error && { 'error.type': fact.error.code }),
    'millrace.session': `${fact.session}.${fact.generation >>> 0}`,
    'millrace.dialect': fact.dialect,
    'millrace.principal': fact.principal,
    'millrace.outcome': fact.outcome,
    'millrace.attempts': fact.attempts,
    'millrace.paused_ms': fact.pausedMs,
  };
}

function attemptAttributes(fact: StreamEnded, attempt: AttemptFact): Record<string, unknown> {
  const { hostname, port, protocol } = new URL(attempt.origin);
  return {
    ...common(fact.model, attempt.provider),
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    ...(attempt.outcome === 'finished' && usage(fact)),
    ...(attempt.firstMs >= 0 && {
      'gen_ai.response.time_to_first_chunk': attempt.firstMs / 1000,
    }),
    ...(isFailure(attempt.outcome) && { 'error.type': attempt.outcome }),
    ...(attempt.spanId && { 'millrace.propagated_span_id': attempt.spanId }),
    'millrace.upstream': attempt.upstream,
  };
}

function common(model: string, provider: string): Record<string, unknown> {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': genAiProvider(provider),
    'gen_ai.request.model': model,
  };
}

/** Nothing when the upstream reported nothing. */
function usage(fact: StreamEnded): Record<string, number> {
  if (fact.inputTokens === 0 && fact.outputTokens === 0) return {};
  return {
    'gen_ai.usage.input_tokens': fact.inputTokens,
    'gen_ai.usage.output_tokens': fact.outputTokens,
    'gen_ai.usage.cache_read.input_tokens': fact.cachedTokens,
    'gen_ai.usage.reasoning.output_tokens': fact.reasoningTokens,
  };
}
