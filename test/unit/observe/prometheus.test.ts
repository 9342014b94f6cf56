/** Goal: a scrape shows exactly what the blocks hold. Method: count through the real counter blocks, parse the text back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allocateCounters,
  foldCounters,
  openCounters,
  readCounters,
} from '../../../src/memory/counters.ts';
import { Exemplars } from '../../../src/observe/exemplars.ts';
import {
  boundsOf,
  type Dimensions,
  dimensionsOf,
  latencyBounds,
  metrics,
  schedule,
  servedAt,
} from '../../../src/observe/metrics.ts';
import { createExporter } from '../../../src/observe/prometheus.ts';
import { resolveOptions } from '../../../src/options/resolve.ts';

function setting(names: readonly string[] = ['a', 'b']) {
  const dimensions: Dimensions = dimensionsOf(resolveOptions({}).options);
  const plan = schedule(dimensions);
  const shared = allocateCounters(2, plan.size);
  const dead = new Float64Array(plan.size);
  const read = () => {
    const sum = Float64Array.from(dead);
    for (const row of [0, 1]) {
      for (const [at, n] of readCounters(shared, row, plan.size).entries()) sum[at] += n;
    }
    return sum;
  };
  const exemplars = new Exemplars(plan);
  const upstreams = () => names;
  const exporter = createExporter(() => ({ schedule: plan, read, exemplars, upstreams }));
  const blocks = [0, 1].map((row) => openCounters(shared, row, plan.size));
  return { plan, shared, dead, exporter, blocks, exemplars };
}

/** `name{labels}` to value, as Prometheus would read it. */
function parse(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line);
    assert.ok(match, `not a sample: ${line}`);
    assert.ok(!found.has(match[1]), `twice: ${match[1]}`);
    found.set(match[1], Number(match[2]));
  }
  return found;
}

test('every metric of the table appears once, with its help and kind', async () => {
  const { exporter } = setting();
  const text = await exporter.text();
  for (const [name, { help, kind }] of Object.entries(metrics)) {
    assert.equal(text.split(`# HELP ${name} ${help}\n`).length, 2, name);
    assert.equal(text.split(`# TYPE ${name} ${kind}\n`).length, 2, name);
  }
  assert.match(exporter.contentType, /^text\/plain; version=0\.0\.4/);
});

test('the five names of the guide are there, at zero, before anything happened', async () => {
  const samples = parse(await setting().exporter.text());
  for (const name of [
    'websocket_connections_total',
    'websocket_messages_sent_total',
    'websocket_messages_received_total',
    'websocket_latency_seconds_count',
    'websocket_errors_total',
  ]) {
    assert.equal(samples.get(name), 0, name);
  }
});

test('every number of the block reaches exactly one sample', async () => {
  const { plan, blocks, exporter } = setting();
  // Powers are too large; distinct odd numbers make a swap or a double count visible in the sum and one by one.
  for (let at = 0; at < plan.size; at++) blocks[0].set(at, 2 * at + 1);
  const samples = parse(await exporter.text());
  let seen = 0;
  for (const [name, value] of samples) {
    if (name.includes('_count') || name.includes('_bucket')) continue;
    if (!name.includes('_sum')) seen++;
    assert.equal(value % 2, 1, name);
  }
  const plain = Object.values(metrics).filter((metric) => metric.kind !== 'histogram');
  const expected = plain.reduce((n, metric) => {
    const labels: readonly (keyof Dimensions)[] = metric.labels;
    const size = (label: keyof Dimensions) =>
      label === 'upstream' ? 2 : plan.dimensions[label].length;
    return n + labels.reduce((m, label) => m * size(label), 1);
  }, 0);
  assert.equal(seen, expected);
  const values = [...samples].filter(([name]) => !/_(count|bucket|sum)/.test(name));
  assert.equal(new Set(values.map(([, value]) => value)).size, values.length);
});

test('the threads’ counts add up, labels choose the series, and a second scrape counts nothing twice', async () => {
  const { plan, blocks, exporter } = setting();
  blocks[0].add(plan.index('websocket_messages_sent_total'), 2);
  blocks[1].add(plan.index('websocket_messages_sent_total'), 3);
  blocks[1].add(plan.index('millrace_upstream_attempts_total', 1), 7);
  blocks[0].add(plan.index('millrace_bytes_total', 1), 9);
  for (let scrape = 0; scrape < 2; scrape++) {
    const samples = parse(await exporter.text());
    assert.equal(samples.get('websocket_messages_sent_total'), 5);
    assert.equal(samples.get('millrace_upstream_attempts_total{upstream="a"}'), 0);
    assert.equal(samples.get('millrace_upstream_attempts_total{upstream="b"}'), 7);
    assert.equal(samples.get('millrace_bytes_total{direction="in"}'), 0);
    assert.equal(samples.get('millrace_bytes_total{direction="out"}'), 9);
  }
});

test('scrapes at the same time show the same whole numbers', async () => {
  const { plan, blocks, exporter } = setting();
  blocks[0].add(plan.index('websocket_messages_sent_total'), 2);
  const [one, two] = await Promise.all([exporter.text(), exporter.text()]);
  assert.equal(one, two);
});

test('a dead thread’s counts stay in the sum', async () => {
  const { plan, blocks, shared, dead, exporter } = setting();
  blocks[1].add(plan.index('websocket_messages_sent_total'), 3);
  foldCounters(shared, 1, plan.size, dead);
  blocks[1].add(plan.index('websocket_messages_sent_total'), 1);
  assert.equal(parse(await exporter.text()).get('websocket_messages_sent_total'), 4);
});

test('histogram buckets are cumulative, values on a bound belong to it, the last holds all', async () => {
  const { plan, blocks, exporter } = setting();
  const at = plan.index('websocket_latency_seconds');
  for (const value of [0.0001, 0.0005, 0.0006, 60, 61]) {
    blocks[0].observe(at, latencyBounds, value);
  }
  blocks[1].observe(plan.index('millrace_first_delta_seconds', 1), latencyBounds, 0.5);
  const samples = parse(await exporter.text());
  const bucket = (le: string) => samples.get(`websocket_latency_seconds_bucket{le="${le}"}`);
  assert.equal(bucket('0.0005'), 2);
  assert.equal(bucket('0.001'), 3);
  assert.equal(bucket('30'), 3);
  assert.equal(bucket('60'), 4);
  assert.equal(bucket('+Inf'), 5);
  assert.equal(samples.get('websocket_latency_seconds_count'), 5);
  assert.ok(Math.abs((samples.get('websocket_latency_seconds_sum') ?? 0) - 121.0012) < 1e-9);
  assert.equal(samples.get('millrace_first_delta_seconds_count{upstream="a"}'), 0);
  assert.equal(samples.get('millrace_first_delta_seconds_count{upstream="b"}'), 1);
});

test('without upstreams their series are absent and everything else is there', async () => {
  const samples = parse(await setting([]).exporter.text());
  assert.ok(![...samples.keys()].some((name) => name.includes('upstream=')));
  assert.equal(samples.get('millrace_workers_lost_total'), 0);
});

test('rows of one name are one series, and a row that nobody has is none', async () => {
  const { plan, blocks, exporter } = setting(['a', '', 'a', 'b']);
  const attempts = (row: number) => plan.index('millrace_upstream_attempts_total', row);
  const first = (row: number) => plan.index('millrace_first_delta_seconds', row);
  for (const row of [0, 1, 2, 3]) blocks[0].add(attempts(row), 10 ** row);
  blocks[0].observe(first(0), latencyBounds, 0.5);
  blocks[1].observe(first(2), latencyBounds, 2);
  const samples = parse(await exporter.text());
  assert.equal(samples.get('millrace_upstream_attempts_total{upstream="a"}'), 101);
  assert.equal(samples.get('millrace_upstream_attempts_total{upstream="b"}'), 1000);
  assert.equal(samples.get('millrace_first_delta_seconds_count{upstream="a"}'), 2);
  assert.equal(samples.get('millrace_first_delta_seconds_sum{upstream="a"}'), 2.5);
  assert.ok(![...samples.keys()].some((name) => name.includes('upstream=""')));
});

test('process metrics come only when asked for', async () => {
  const { plan, exporter } = setting();
  assert.ok(!(await exporter.text()).includes('process_cpu'));
  const block = new Float64Array(plan.size);
  const full = createExporter(
    () => ({ schedule: plan, read: () => block, upstreams: () => [] }),
    true,
  );
  assert.match(await full.text(), /process_resident_memory_bytes \d/);
});

const OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const PLAIN = 'text/plain; version=0.0.4; charset=utf-8';

test('a scraper that prefers OpenMetrics gets it, everybody else gets Prometheus text', async () => {
  const { exporter } = setting();
  for (const [accept, expected] of [
    [undefined, PLAIN],
    ['*/*', PLAIN],
    ['text/html,application/xhtml+xml,*/*;q=0.8', PLAIN],
    ['text/plain', PLAIN],
    ['application/openmetrics-text', OPEN],
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      OPEN,
    ],
    ['application/openmetrics-text;version=0.0.1,text/plain;q=0.3', PLAIN],
    ['application/openmetrics-text;q=0.2,text/plain;q=0.9', PLAIN],
    ['application/openmetrics-text;q=0', PLAIN],
    ['x,'.repeat(100_000), PLAIN],
  ] as const) {
    assert.equal((await exporter.answer(accept)).contentType, expected, accept?.slice(0, 100));
  }
});

test('OpenMetrics text names counters without their ending, ends with EOF, and has exemplars; the other text has none', async () => {
  const { plan, blocks, exporter, exemplars } = setting();
  const at = plan.index('millrace_first_delta_seconds', 1);
  blocks[0].observe(at, latencyBounds, 0.03);
  blocks[0].add(plan.index('websocket_messages_sent_total'), 2);
  const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
  exemplars.note('millrace_first_delta_seconds', [1], 0.03, trace, 1_790_000_000_500);
  const { text } = await exporter.answer(OPEN);
  assert.ok(text.endsWith('\n# EOF\n'));
  assert.match(text, /^# TYPE websocket_messages_sent counter$/m);
  assert.match(text, /^websocket_messages_sent_total 2$/m);
  const line = `millrace_first_delta_seconds_bucket{upstream="b",le="0.05"} 1 # {trace_id="${trace.traceId}",span_id="${trace.spanId}"} 0.03 1790000000.5`;
  assert.ok(
    text.split('\n').includes(line),
    text.split('\n').find((l) => l.includes(' # {')),
  );
  assert.equal(text.split(' # {').length, 2);
  const plain = await exporter.text();
  assert.ok(!plain.includes('trace_id'));
  assert.match(
    plain,
    /^# TYPE websocket_messages_sent_total counter$/m,
    'the one does not rename the other',
  );
});

test('generative AI series follow the conventions, with a series for models nobody named', async () => {
  const upstreams = [
    { name: 'a', url: 'http://127.0.0.1:1/v1', models: ['demo', 'two words'] },
    { name: 'b', url: 'http://127.0.0.1:1/v1', models: ['demo'] },
    { name: 'c', url: 'http://127.0.0.1:1/v1' },
  ];
  const dimensions = dimensionsOf(resolveOptions({ code: { upstreams } }).options);
  const plan = schedule(dimensions);
  const block = openCounters(allocateCounters(1, plan.size), 0, plan.size);
  const read = () => Float64Array.from({ length: plan.size }, (_, at) => block.get(at));
  const count = (model: string, token: number, value: number) => {
    const at = plan.index(
      'gen_ai_client_token_usage',
      servedAt(dimensions, 'openai-chat', model),
      token,
    );
    block.observe(at, boundsOf('gen_ai_client_token_usage'), value);
  };
  count('demo', 0, 64);
  count('two words', 1, 65);
  count('made up by a client', 1, 1);
  const samples = parse(
    await createExporter(() => ({ schedule: plan, read, upstreams: () => [] })).text(),
  );
  const labels = (model: string, token: string) =>
    `gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="${model}",gen_ai_token_type="${token}"`;
  const bucket = (le: string, of: string) =>
    samples.get(`gen_ai_client_token_usage_bucket{${of},le="${le}"}`);
  assert.equal(bucket('16', labels('demo', 'input')), 0);
  assert.equal(bucket('64', labels('demo', 'input')), 1);
  assert.equal(bucket('64', labels('two words', 'output')), 0);
  assert.equal(bucket('256', labels('two words', 'output')), 1);
  assert.equal(bucket('1', labels('_OTHER', 'output')), 1);
  assert.equal(dimensions.served.length, 4);
});

test('thousands of configured models do not become thousands of series', () => {
  const models = Array.from({ length: 1_000 }, (_, n) => `m${n}`);
  const upstreams = [{ name: 'a', url: 'http://127.0.0.1:1/v1', models: models.slice(0, 100) }];
  for (let n = 1; n < 10; n += 1)
    upstreams.push({
      name: `u${n}`,
      url: 'http://127.0.0.1:1/v1',
      models: models.slice(100 * n, 100 * n + 100),
    });
  const dimensions = dimensionsOf(resolveOptions({ code: { upstreams } }).options);
  assert.equal(dimensions.served.length, 102);
  assert.equal(dimensions.served[servedAt(dimensions, 'later', 'x')], '_OTHER _OTHER');
  assert.equal(
    dimensions.served[servedAt(dimensions, 'openai-chat', 'm999')],
    'openai-chat _OTHER',
  );
});
