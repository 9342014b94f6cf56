/**
 * Spans of finished streams. Method: the real `@opentelemetry/api` with a tracer that keeps what it is given, as an SDK with an
 * in-memory exporter would: parents from the context, ids from a generator.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as api from '@opentelemetry/api';
import { SpanIds } from '../../../src/observe/span-ids.ts';
import { type OtelApi, Spans } from '../../../src/observe/spans.ts';
import type { AttemptFact, StreamEnded } from '../../../src/threads/facts.ts';

interface Kept {
  readonly name: string;
  readonly kind: number | undefined;
  readonly start: unknown;
  end: unknown;
  readonly attributes: Readonly<Record<string, unknown>>;
  status: { code: number; message?: string } | undefined;
  readonly ids: api.SpanContext;
  readonly parent: api.SpanContext | undefined;
}

const kept: Kept[] = [];
const ids = new SpanIds();

/** What an SDK does with a span, as far as it can be seen from outside. */
function startSpan(name: string, options: api.SpanOptions = {}, context = api.context.active()) {
  const parent = api.trace.getSpanContext(context);
  const traceId = parent?.traceId ?? ids.generateTraceId();
  const own = { traceId, spanId: ids.generateSpanId(), traceFlags: parent?.traceFlags ?? 1 };
  const { kind, startTime: start, attributes = {} } = options;
  const span: Kept = { name, kind, start, attributes, parent, ids: own, end: 0, status: undefined };
  kept.push(span);
  return Object.assign(api.trace.wrapSpanContext(own), {
    setStatus: (status: Kept['status']) => void (span.status = status),
    end: (time: unknown) => void (span.end = time),
  });
}

before(() => {
  const tracer = { startSpan } as unknown as api.Tracer;
  assert.ok(api.trace.setGlobalTracerProvider({ getTracer: () => tracer }));
});
after(() => api.trace.disable());

const attempt: AttemptFact = {
  upstream: 'two',
  row: 1,
  provider: 'openai-chat',
  origin: 'https://two.test',
  outcome: 'finished',
  startMs: 10,
  sentMs: 1,
  headMs: 2,
  firstMs: 40,
  durationMs: 80,
  spanId: '2222222222222222',
};
const first: AttemptFact = {
  ...attempt,
  upstream: 'one',
  row: 0,
  origin: 'http://one.test:8080',
  outcome: 'MILLRACE_UPSTREAM_RESET',
  startMs: 0,
  firstMs: -1,
  durationMs: 9,
  spanId: '1111111111111111',
};
const trace = {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentId: 'c'.repeat(16),
  flags: 1,
  state: 'vendor=1',
};
const end: StreamEnded = {
  fact: 'stream-ended',
  session: 3,
  generation: 7,
  stream: 12,
  responseId: 'resp_1',
  lane: '',
  principal: 'anonymous',
  dialect: 'responses',
  model: 'demo',
  upstream: 'two',
  provider: 'openai-chat',
  worker: 0,
  attempts: 2,
  tries: [first, attempt],
  outcome: 'finished',
  finishReason: 'stop',
  inputTokens: 11,
  cachedTokens: 2,
  outputTokens: 22,
  reasoningTokens: 3,
  frames: 5,
  bytes: 600,
  deltas: 4,
  startedWallMs: 1_790_000_000_000.25,
  firstDeltaMs: 50,
  meanGapMs: 1,
  maxGapMs: 2,
  pausedMs: 0,
  durationMs: 90,
  trace,
};

function made(fact: StreamEnded, withIds = true): Kept[] {
  kept.length = 0;
  // The real module fits what is asked of it.
  const module: OtelApi = api;
  new Spans(withIds ? { api: module, ids } : { api: module }).stream(fact);
  return [...kept];
}

test('a stream is a server span below the client’s, each attempt a client span below it, with the ids that were told', () => {
  const [stream, one, two, ...more] = made(end);
  assert.equal(more.length, 0);
  assert.deepEqual(
    [stream, one, two].map(({ name, kind }) => [name, kind]),
    [
      ['chat demo', api.SpanKind.SERVER],
      ['chat demo', api.SpanKind.CLIENT],
      ['chat demo', api.SpanKind.CLIENT],
    ],
  );
  assert.equal(stream.parent?.spanId, trace.parentId);
  assert.equal(stream.parent?.isRemote, true);
  assert.equal(stream.parent?.traceState?.get('vendor'), '1');
  assert.deepEqual([stream.ids.traceId, stream.ids.spanId], [trace.traceId, trace.spanId]);
  for (const each of [one, two]) assert.equal(each.parent?.spanId, trace.spanId);
  assert.deepEqual([one.ids.spanId, two.ids.spanId], [first.spanId, attempt.spanId]);
});

test('spans have the times of what happened', () => {
  const [stream, one, two] = made(end);
  const { startedWallMs: at } = end;
  assert.deepEqual([stream.start, stream.end], [at, at + 90]);
  assert.deepEqual([one.start, one.end], [at, at + 9]);
  assert.deepEqual([two.start, two.end], [at + 10, at + 90]);
});

test('attributes are those of the conventions for generative AI', () => {
  const [stream, one, two] = made(end);
  const common = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'demo',
  };
  const usage = {
    'gen_ai.usage.input_tokens': 11,
    'gen_ai.usage.output_tokens': 22,
    'gen_ai.usage.cache_read.input_tokens': 2,
    'gen_ai.usage.reasoning.output_tokens': 3,
  };
  const conventional = (span: Kept) =>
    Object.fromEntries(Object.entries(span.attributes).filter(([name]) => !/^millrace/.test(name)));
  assert.deepEqual(conventional(stream), {
    ...common,
    ...usage,
    'gen_ai.response.id': 'resp_1',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.response.time_to_first_chunk': 0.05,
  });
  assert.deepEqual(conventional(one), {
    ...common,
    'server.address': 'one.test',
    'server.port': 8080,
    'error.type': 'MILLRACE_UPSTREAM_RESET',
  });
  assert.deepEqual(conventional(two), {
    ...common,
    ...usage,
    'server.address': 'two.test',
    'server.port': 443,
    'gen_ai.response.time_to_first_chunk': 0.04,
  });
  assert.equal(stream.attributes['millrace.session'], '3.7');
});

test('what failed is an error, what was cancelled is none', () => {
  const error = { code: 'MILLRACE_UPSTREAM_RESET', details: {} } as const;
  const failed = made({ ...end, outcome: 'failed', error, tries: [first] });
  assert.deepEqual(
    failed.map(({ status }) => status?.code),
    [api.SpanStatusCode.ERROR, api.SpanStatusCode.ERROR],
  );
  assert.equal(failed[0].attributes['error.type'], error.code);
  const tries = [{ ...attempt, outcome: 'cancelled' as const }];
  const cancelled = made({ ...end, outcome: 'cancelled', tries });
  assert.ok(cancelled.every(({ status }) => status === undefined));
});

test('without a trace of the client the stream begins one', () => {
  const { trace: _, ...untraced } = end;
  const [stream, one] = made(untraced);
  assert.equal(stream.parent, undefined);
  assert.match(stream.ids.traceId, /^[0-9a-f]{32}$/);
  assert.equal(one.ids.traceId, stream.ids.traceId);
});

test('a trace of our own keeps the id that upstreams were told, with our ids and without', () => {
  const { parentId: _, ...own } = trace;
  const [root] = made({ ...end, trace: own });
  assert.equal(root.parent, undefined);
  assert.deepEqual([root.ids.traceId, root.ids.spanId], [own.traceId, own.spanId]);
  const [child] = made({ ...end, trace: own }, false);
  assert.equal(child.ids.traceId, own.traceId);
});

test('a failing tracer leaves no id behind for the next span', () => {
  const broken: OtelApi = {
    ...api,
    trace: {
      getTracer: () => ({
        startSpan: () => {
          throw new Error('odd');
        },
      }),
      setSpan: (context) => context,
      setSpanContext: (context) => context,
    },
  };
  assert.throws(() => new Spans({ api: broken, ids }).stream(end), /odd/);
  assert.notEqual(ids.generateSpanId(), trace.spanId);
});
