/** A flood fills the memory until new turns are refused: paced streams that run already keep order, completeness and pace. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { open, RefusedError } from '../support/client.ts';
import { ask, assertWhole, type Event, isTerminal } from '../support/responses.ts';
import { until } from '../support/until.ts';

const PACED = 20;
const GAP_MS_MAX = 2_000;
const FLOOD_MAX = 200;

let engine: Engine;
let url: string;
before(async () => {
  engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 50 },
    threads: { workers: 1 },
    memory: { memoryBytesMax: 16 * 1024 * 1024, ringBytes: 256 * 1024 },
  });
  url = `${(await engine.listen()).url}/v1/responses`;
});
after(() => engine.close());

test('a flood is refused with a time to come back, and nothing that streams suffers', async (t) => {
  const paced = await Promise.all(Array.from({ length: PACED }, () => open(url)));
  const streams = paced.map(async (client) => {
    ask(client, '@tokens 200\n@fault rate=50');
    const events: Event[] = [];
    let [lastMs, gapMs] = [0, 0];
    while (events.length === 0 || !isTerminal(events[events.length - 1])) {
      events.push(await client.nextJson<Event>(10_000));
      const nowMs = performance.now();
      if (lastMs > 0) gapMs = Math.max(gapMs, nowMs - lastMs);
      lastMs = nowMs;
    }
    return { events, gapMs };
  });

  // Requests that wait for their first token are retained: large ones fill the memory.
  const flood = await Promise.all(Array.from({ length: 4 }, () => open(url)));
  const big = 'x'.repeat(200_000);
  const refused = () =>
    flood.some((client) =>
      client.waiting.some(({ text }) => text.includes('server_is_overloaded')),
    );
  for (let n = 0; n < FLOOD_MAX && !refused(); n++) {
    ask(flood[n % flood.length], `@echo late\n@fault first-token-ms=30000\n${big}`);
    const { open: before } = engine.status().requests;
    await until(
      () => refused() || engine.status().requests.open > before,
      'it is kept, or refused',
    );
  }
  await until(() => !engine.ready().ready, 'not ready');
  ask(flood[0], '@echo one more');
  await until(refused, 'a refusal');
  assert.match(engine.ready().reason, /overloaded: at its memory\.refuseAboveShare bound/);
  await assert.rejects(
    open(url),
    (error) =>
      error instanceof RefusedError && error.status === 503 && error.headers['retry-after'] === '1',
  );

  let worstMs = 0;
  for (const { events, gapMs } of await Promise.all(streams)) {
    assert.equal(assertWhole(events).type, 'response.completed');
    worstMs = Math.max(worstMs, gapMs);
  }
  t.diagnostic(`longest gap ${worstMs.toFixed()} ms`);
  assert.ok(worstMs < GAP_MS_MAX, `a gap of ${worstMs} ms`);
  await Promise.all([...paced, ...flood].map((client) => client.close()));
  await until(() => engine.ready().ready, 'ready again', 20_000);
});

test('a worker whose loop is late refuses new turns; when every worker is, nothing new comes in', async (t) => {
  const late = createEngine({
    server: { port: 0, loopLagMsMax: 50 },
    admin: { enabled: false },
    log: { level: 'silent' },
    threads: { workers: 1 },
    demo: { enabled: true },
  }).route('/spin', new URL('../support/modules/spin.js', import.meta.url));
  t.after(() => late.close());
  const { url: base } = await late.listen();
  const client = await open(`${base}/spin`);
  client.send('spin');
  await until(() => !late.ready().ready, 'not ready', 20_000);
  assert.match(late.ready().reason, /overloaded: at its server\.loopLagMsMax bound/);
  const refusal = await open(`${base}/spin`).catch((error: unknown) => error);
  assert.ok(refusal instanceof RefusedError && refusal.status === 503, String(refusal));
  client.send('one more');
  await until(
    () => client.waiting.some(({ text }) => text.includes('MILLRACE_OVERLOADED')),
    'the refusal',
    20_000,
  );
  await until(
    () => client.waiting.some(({ text }) => text.includes('through')),
    'the answer',
    20_000,
  );
  await until(() => late.ready().ready, 'ready again', 20_000);
  client.send('and now');
  await until(
    () => client.waiting.filter(({ text }) => text.includes('through')).length === 2,
    'the next answer',
    20_000,
  );
  await client.close();
});
