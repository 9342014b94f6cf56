/** Goal: a scrape shows exactly what the blocks hold. Method: count through the real counter blocks, parse the text back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allocateCounters,
  foldCounters,
  openCounters,
  readCounters,
} from '../../../src/memory/counters.ts';
import {
  type Dimensions,
  dimensionsOf,
  latencyBounds,
  metrics,
  schedule,
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
  const exporter = createExporter(() => ({ schedule: plan, read, upstreams: () => names }));
  const blocks = [0, 1].map((row) => openCounters(shared, row, plan.size));
  return { plan, shared, dead, exporter, blocks };
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
