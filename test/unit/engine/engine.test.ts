/** Goal: an engine's life as its owner sees it: started with and without a port, told about, measured, closed. Method: real threads. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { register as globalRegistry, type OpenMetricsContentType, Registry } from 'prom-client';
import { createEngine, type Engine } from '../../../src/engine/engine.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { metrics } from '../../../src/observe/metrics.ts';
import type { UserOptions } from '../../../src/options/schema.ts';
import { open } from '../../support/client.ts';

function engineOf(t: TestContext, more: UserOptions = {}): Engine {
  const quiet = { server: { port: 0 }, admin: { enabled: false }, threads: { workers: 1 } };
  const engine = createEngine({ ...quiet, ...more }, { log: silentLog });
  t.after(() => engine.close());
  return engine;
}

const nowhere = { upstreams: [{ name: 'nowhere', url: 'http://127.0.0.1:9/v1', models: ['m'] }] };

test('an engine that starts without listening serves threads, readiness, status and the admin port', async (t) => {
  const engine = engineOf(t, { ...nowhere, admin: { port: 0 } });
  assert.deepEqual(engine.ready(), { ready: false, reason: 'starting' });
  assert.throws(() => engine.status(), { code: 'MILLRACE_CLOSED' });
  await Promise.all([engine.start(), engine.start()]);
  assert.deepEqual(engine.ready(), { ready: true, reason: 'serving' });
  const { version, ready, workers, sessions } = engine.status();
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.deepEqual([ready, workers.length, sessions.open], [true, 1, 0]);
  await engine.close();
  assert.deepEqual(engine.ready(), { ready: false, reason: 'the engine is closed' });
  assert.throws(() => engine.status(), { code: 'MILLRACE_CLOSED' });
  await assert.rejects(engine.start(), { code: 'MILLRACE_CLOSED' });
});

test('an engine listens after its start, once', async (t) => {
  const engine = engineOf(t);
  await engine.start();
  const { url } = await engine.listen();
  const client = await open(`${url}/ws`);
  client.send('hello');
  assert.equal((await client.next()).text, 'hello');
  await client.close();
  await assert.rejects(engine.listen(), { code: 'MILLRACE_CLOSED' });
  await (await open(`${url}/ws`)).close();
});

test('close during the start ends what was started', async (t) => {
  const engine = engineOf(t, { server: { port: 0, backend: 'ws' } });
  const listening = engine.listen().then(
    () => 'listens',
    (error: { code: string }) => error.code,
  );
  const closed = engine.close();
  // Whichever was first, nothing runs afterwards.
  assert.match(await listening, /^(listens|MILLRACE_CLOSED)$/);
  await closed;
  assert.equal(engine.ready().ready, false);
});

test('Symbol.asyncDispose closes the engine', async (t) => {
  const engine = engineOf(t);
  const { url } = await engine.listen();
  const client = await open(`${url}/ws`);
  await engine[Symbol.asyncDispose]();
  assert.equal((await client.closed).code, 1012);
  await assert.rejects(open(`${url}/ws`), { code: 'ECONNREFUSED' });
});

test('the counters are text, also before the start and after the end', async (t) => {
  const engine = engineOf(t, nowhere);
  assert.match(engine.metrics.contentType, /^text\/plain; version=0\.0\.4/);
  const names = await engine.metrics.exportText();
  assert.match(names, /# TYPE websocket_connections_total gauge/);
  assert.doesNotMatch(names, /^websocket_connections_total /m);
  const { url } = await engine.listen();
  const client = await open(`${url}/ws`);
  client.send('hello');
  await client.next();
  const text = await engine.metrics.exportText();
  assert.match(text, /^websocket_connections_total 1$/m);
  assert.match(text, /^websocket_messages_received_total 1$/m);
  await engine.close();
  assert.match(await engine.metrics.exportText(), /^websocket_messages_sent_total 1$/m);
});

test('the counters stand in a registry of the application until the engine closes', async (t) => {
  const registry = new Registry();
  const engine = engineOf(t, nowhere);
  engine.metrics.register(registry);
  await engine.start();
  const text = await registry.metrics();
  for (const name of Object.keys(metrics)) assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'));
  assert.match(text, /^millrace_upstream_attempts_total\{upstream="nowhere"\} 0$/m);
  assert.equal(text, await engine.metrics.exportText());
  registry.resetMetrics();
  assert.deepEqual(await globalRegistry.getMetricsAsJSON(), []);
  const second = engineOf(t);
  assert.throws(() => second.metrics.register(registry), { code: 'MILLRACE_METRICS_TAKEN' });
  await engine.close();
  assert.deepEqual(registry.getMetricsAsArray(), []);
  const remove = second.metrics.register(registry);
  remove();
  remove();
  assert.deepEqual(registry.getMetricsAsArray(), []);
});

test('a registry of OpenMetrics text gets names with one _total', async (t) => {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const engine = engineOf(t);
  await engine.start();
  engine.metrics.register(registry);
  const text = await registry.metrics();
  assert.match(text, /^websocket_errors_total 0$/m);
  assert.doesNotMatch(text, /_total_total/);
  assert.match(await engine.metrics.exportText(), /^websocket_errors_total 0$/m);
});
