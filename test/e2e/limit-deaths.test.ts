/** A request that limits have let in is charged once and keeps its turn, however many threads die under it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../support/client.ts';
import { startEngineProcess } from '../support/engine-process.ts';
import { answer, ask, type Event, isDelta } from '../support/responses.ts';

test('requests that wait behind a running one run again for nothing when their worker dies', async (t) => {
  const engine = await startEngineProcess({
    server: { port: 0 },
    admin: { port: 0 },
    demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 100 },
    threads: { workers: 1, heartbeatMs: 20, hungAfterMs: 400 },
    limits: { perKey: { maxRequestsPerSecond: 0.01, maxBurst: 3 } },
  });
  t.after(() => engine.close());
  const client = await open(`${engine.url}/v1/responses`);
  ask(client, '@tokens 400\n@fault rate=50');
  await client.collectJson<Event>(isDelta, 10_000);
  ask(client, '@echo second');
  ask(client, '@echo third');
  // Both before it were let in once this one is refused.
  ask(client, '@echo fourth');
  const refused = await client.collectJson<Event>(({ type }) => type === 'error', 10_000);
  assert.equal(refused.at(-1)?.error?.code, 'rate_limit_exceeded');
  await engine.strike('worker', 'exit');
  assert.equal((await answer(client)).at(-1)?.response?.error?.code, 'worker_lost');
  for (const which of ['second', 'third'])
    assert.equal((await answer(client)).at(-1)?.type, 'response.completed', which);
  await client.close();
});

test('requests that wait for their turn keep it when their worker dies', async (t) => {
  const engine = await startEngineProcess({
    server: { port: 0 },
    admin: { port: 0 },
    demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 5_000 },
    threads: { workers: 1, heartbeatMs: 20, hungAfterMs: 400 },
    limits: {
      perKey: { algorithm: 'LeakyBucket', maxRequestsPerSecond: 1, maxBurst: 3, paced: true },
    },
  });
  t.after(() => engine.close());
  const clients = await Promise.all([1, 2, 3].map(() => open(`${engine.url}/v1/responses`)));
  const startedMs = performance.now();
  const ends = clients.map(async (client) => {
    ask(client, '@echo hi');
    const events = await answer(client, 10_000);
    return { type: events.at(-1)?.type, afterMs: performance.now() - startedMs };
  });
  await Promise.race(ends);
  await engine.strike('worker', 'exit');
  const answers = (await Promise.all(ends)).toSorted((a, b) => a.afterMs - b.afterMs);
  for (const [at, { type, afterMs }] of answers.entries()) {
    assert.equal(type, 'response.completed');
    assert.ok(afterMs >= at * 1_000 - 20, `turn ${at} came after ${afterMs} ms`);
  }
  t.diagnostic(`turns after ${answers.map(({ afterMs }) => Math.round(afterMs)).join(', ')} ms`);
  await Promise.all(clients.map((client) => client.close()));
});
