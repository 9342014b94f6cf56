/**
 * Failure is never silent, and there is no false alarm: every fault of the simulated upstreams through the whole engine, before the
 * first delta (the other upstream answers, nobody notices), after it (exactly one typed failure), and what only looks like one.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { open, type TestClient } from '../support/client.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';

const TEXT = 'the wheel turns, the stone follows: "größe" 水車 🌊 \\\\ end';
const PLAIN = JSON.parse(`"${TEXT.replaceAll('"', '\\"')}"`) as string;

describe('upstream faults through the whole engine', () => {
  let engine: Engine;
  let client: TestClient;
  before(async () => {
    engine = createEngine({
      server: { port: 0 },
      admin: { enabled: false },
      log: { level: 'silent' },
      demo: { enabled: true, firstTokenMs: 5, tokensPerSecond: 2_000 },
      stream: {
        firstDeltaTimeoutMs: 250,
        headersTimeoutMs: 250,
        gapTimeoutMs: 250,
        retryDelayMs: 5,
      },
    });
    const { url } = await engine.listen();
    client = await open(`${url}/v1/responses`);
  });
  after(async () => {
    await client.close();
    await engine.close();
  });

  const beforeTheFirstDelta = [
    'status=429 retry-after=0',
    'status=500',
    'status=503 html',
    'status=529',
    'reset-before-headers',
    'end-before-headers',
    'empty',
    'content-type=text/html',
    'stall-headers=0',
    'stall-first=0',
    'reset-after=0',
    'cut-after=0',
    'end-after=0',
    'malformed-after=0',
    'error-after=0',
    'oversize-after=0',
  ];
  for (const fault of beforeTheFirstDelta) {
    test(`before the first delta, ${fault}: the other upstream answers in full`, async () => {
      // Twice, so that round robin begins at the faulty one at least once.
      for (let turn = 0; turn < 2; turn++) {
        ask(client, `@echo ${TEXT}\n@fault only=simulated-a ${fault}`);
        const events = await answer(client);
        const end = assertWhole(events);
        assert.equal(end.type, 'response.completed', JSON.stringify(end));
        assert.equal(textOf(events), PLAIN);
        assert.equal(end.response?.x_millrace?.upstream, 'simulated-b');
      }
    });
  }

  const afterIt: readonly (readonly [string, string])[] = [
    ['reset-after=3', 'upstream_reset'],
    ['cut-after=3', 'upstream_reset'],
    ['end-after=3', 'upstream_truncated'],
    ['malformed-after=3', 'upstream_malformed'],
    ['error-after=3', 'upstream_error'],
    ['stall-after=3', 'upstream_gap_timeout'],
    ['oversize-after=3', 'upstream_too_large'],
    ['bad-utf8-after=3', 'upstream_malformed'],
    ['no-finish', 'upstream_truncated'],
  ];
  for (const [fault, code] of afterIt) {
    test(`after the first delta, ${fault}: one typed failure, and all that came is a prefix`, async () => {
      ask(client, `@echo ${TEXT}\n@fault ${fault}`);
      const events = await answer(client);
      const end = assertWhole(events);
      assert.equal(end.type, 'response.failed', JSON.stringify(end));
      assert.equal(end.response?.error?.code, code);
      const got = textOf(events);
      assert.ok(got.length > 0);
      assert.ok(PLAIN.startsWith(got), `${got} is no prefix`);
    });
  }

  const onlyLooksLikeOne = [
    'no-done',
    'bare-done',
    'after-done',
    'no-usage',
    'usage-with-finish',
    'framing=crlf',
    'framing=cr',
    'comments',
    'no-space',
    'multi-data',
    'events',
    'bom',
    'null-role',
    'no-role',
    'null-fields',
    'obfuscation',
    'escapes',
    'close',
    'finish-late=100',
    'split=9',
    'split=7,1,30',
  ];
  for (const oddity of onlyLooksLikeOne) {
    test(`${oddity} is no failure: the answer is complete`, async () => {
      ask(client, `@echo ${TEXT}\n@fault ${oddity}`);
      const events = await answer(client);
      assert.equal(assertWhole(events).type, 'response.completed', JSON.stringify(events.at(-1)));
      assert.equal(textOf(events), PLAIN);
    });
  }

  test('when every upstream fails, the client learns it once, with the last reason', async () => {
    ask(client, '@fault status=503');
    const end = assertWhole(await answer(client));
    assert.equal(end.type, 'response.failed');
    assert.equal(end.response?.error?.code, 'upstream_status');
  });

  test('what an upstream rejects for good is not tried elsewhere', async () => {
    ask(client, '@fault status=400');
    const end = assertWhole(await answer(client));
    assert.equal(end.response?.error?.code ?? end.error?.code, 'upstream_rejected');
    assert.equal(end.response?.x_millrace?.attempts ?? 1, 1);
  });

  test('after all faults the next answer is whole', async () => {
    ask(client, `@echo ${TEXT}`);
    const events = await answer(client);
    assert.equal(assertWhole(events).type, 'response.completed');
    assert.equal(textOf(events), PLAIN);
  });
});
