/** Over real sockets: connections that break in the middle of an answer, at upstreams that keep it; and a second attempt beside a late one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { type SimulatedServer, startSimulated } from '../../src/simulate/server.ts';
import { open, type TestClient } from '../support/client.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const TEXT = 'the wheel turns, the stone follows: "größe" 水車 🌊 \\\\ and so on to the end';
const PLAIN = JSON.parse(`"${TEXT.replaceAll('"', '\\"')}"`) as string;
const quiet = { server: { port: 0 }, admin: { enabled: false }, log: { level: 'silent' } } as const;
const kinds = [
  ['openai-chat', 'llama'],
  ['openai-responses', 'background'],
] as const;

for (const [provider, resume] of kinds) {
  describe(`an upstream with resume: ${resume}`, () => {
    let engine: Engine;
    let client: TestClient;
    let upstream: SimulatedServer;
    before(async () => {
      upstream = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 200, jitter: 0 });
      engine = createEngine({
        ...quiet,
        upstreams: [{ name: 'only', provider, url: upstream.url, models: ['demo'], resume }],
        stream: { gapTimeoutMs: 300, maxRetries: 0, finishGraceMs: 300 },
      });
      client = await open(`${(await engine.listen()).url}/v1/responses`);
    });
    after(async () => {
      await client.close();
      await engine.close();
      await upstream.close();
    });

    for (const fault of [
      'reset-after=3',
      'cut-after=7',
      'end-after=5',
      'stall-after=4 stall-ms=0',
    ]) {
      test(`${fault}: the client gets the whole answer, and nothing is kept`, async () => {
        for (const split of ['', ' split=1,3,7,2,500']) {
          ask(client, `@echo ${TEXT}\n@fault ${fault}${split}`);
          const events = await answer(client);
          const end = assertWhole(events);
          assert.equal(end.type, 'response.completed', JSON.stringify(end));
          assert.equal(textOf(events), PLAIN);
          assert.equal(events.filter(({ type }) => type === 'response.completed').length, 1);
          await until(() => upstream.kept === 0, 'the upstream forgot it');
        }
      });
    }

    test('a cancel stops what the upstream would generate on', async () => {
      ask(client, '@tokens 2000');
      await until(
        () => upstream.kept === 1 && (upstream.journal.last?.tokensSent ?? 0) > 5,
        'it runs',
      );
      client.send(JSON.stringify({ type: 'response.cancel' }));
      const events = await answer(client);
      assert.equal(events.at(-1)?.type, 'response.incomplete');
      await until(() => upstream.kept === 0 && upstream.streams === 0, 'it was told to stop');
    });
  });
}

test('an engine that closes in the middle of an answer tells the upstream that kept it', async () => {
  const upstream = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 100, jitter: 0 });
  const engine = createEngine({
    ...quiet,
    server: { port: 0, shutdownTimeoutMs: 100 },
    upstreams: [{ name: 'only', url: upstream.url, models: ['demo'], resume: 'llama' }],
  });
  const client = await open(`${(await engine.listen()).url}/v1/responses`);
  ask(client, '@tokens 5000');
  await until(() => upstream.kept === 1, 'it is kept');
  await engine.close();
  assert.equal(upstream.kept, 0);
  await client.close();
  await upstream.close();
});

test('a second attempt beside a late one: the client waits for the faster, the slower is closed', async () => {
  const slow = await startSimulated({ name: 'slow', firstTokenMs: 20_000, jitter: 0 });
  const fast = await startSimulated({ name: 'fast', firstTokenMs: 1, jitter: 0 });
  const engine = createEngine({
    ...quiet,
    upstreams: [slow, fast].map(({ name, url }) => ({ name, url, models: ['demo'] })),
    stream: { hedgeAfterMs: 50 },
  });
  const client = await open(`${(await engine.listen()).url}/v1/responses`);
  // Twice, so that round robin begins at the slow one at least once.
  for (let turn = 0; turn < 2; turn += 1) {
    ask(client, '@echo here');
    const events = await answer(client);
    assert.equal(textOf(events), 'here');
  }
  await until(() => slow.journal.requests > 0 && slow.streams === 0, 'the slow one is closed');
  assert.equal(slow.journal.last?.ending, 'client-closed');
  await client.close();
  await engine.close();
  await Promise.all([slow.close(), fast.close()]);
});
