/** What an answer had set aside of its budgets is there again when the thread under it has died. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../support/client.ts';
import { startEngineProcess } from '../support/engine-process.ts';
import { answer, ask, type Event, isDelta } from '../support/responses.ts';

test('a place among the answers that may run at once comes back when its worker dies, by an exit or in a hang', async (t) => {
  const engine = await startEngineProcess({
    server: { port: 0 },
    admin: { port: 0 },
    demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 100 },
    threads: { workers: 1, heartbeatMs: 20, hungAfterMs: 400 },
    limits: { tokens: { perKey: { streamsMax: 1, outputTokensPerMinute: 3_000 } } },
  });
  t.after(() => engine.close());
  const [one, two] = [
    await open(`${engine.url}/v1/responses`),
    await open(`${engine.url}/v1/responses`),
  ];
  for (const fault of ['exit', 'hang'] as const) {
    ask(one, '@tokens 400\n@fault rate=50');
    await one.collectJson<Event>(isDelta, 10_000);
    ask(two, '@echo refused');
    const refused = (await answer(two)).at(-1);
    assert.equal(refused?.response?.error?.code, 'rate_limit_exceeded');
    await engine.strike('worker', fault);
    const lost = (await answer(one)).at(-1);
    assert.equal(lost?.response?.error?.code, 'worker_lost');
    ask(two, '@echo served');
    const served = (await answer(two)).at(-1);
    assert.equal(served?.type, 'response.completed', JSON.stringify(served?.response?.error));
  }
  await Promise.all([one.close(), two.close()]);
});
