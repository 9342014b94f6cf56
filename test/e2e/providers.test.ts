/**
 * Every provider through the whole engine, against a real server that speaks its protocol: text, reasoning, refusals, tool calls, usage, and
 * each way it may fail in the middle: exactly one typed failure, and all that came is a prefix.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { type SimulatedServer, startSimulated } from '../../src/simulate/server.ts';
import { open, type TestClient } from '../support/client.ts';
import { answer, ask, assertWhole, textOf } from '../support/responses.ts';
import { until } from '../support/until.ts';

const TEXT = 'the wheel turns, the stone follows: "größe" 水車 🌊 \\\\ end';
const PLAIN = JSON.parse(`"${TEXT.replaceAll('"', '\\"')}"`) as string;
const names = ['openai-chat', 'openai-responses', 'anthropic', 'ollama'] as const;

for (const provider of names) {
  describe(`an upstream that speaks ${provider}`, () => {
    let engine: Engine;
    let client: TestClient;
    let upstream: SimulatedServer;
    before(async () => {
      upstream = await startSimulated({ firstTokenMs: 1, tokensPerSecond: 5_000, jitter: 0 });
      const url = provider === 'ollama' ? upstream.origin : upstream.url;
      engine = createEngine({
        server: { port: 0 },
        admin: { enabled: false },
        log: { level: 'silent' },
        upstreams: [{ name: 'only', provider, url, models: ['demo'] }],
        stream: { gapTimeoutMs: 1_000, maxRetries: 0, finishGraceMs: 300 },
      });
      client = await open(`${(await engine.listen()).url}/v1/responses`);
    });
    after(async () => {
      await client.close();
      await engine.close();
      await upstream.close();
    });

    const said = async (prompt: string, more: object = {}) => {
      ask(client, prompt, more);
      const events = await answer(client);
      return { events, end: assertWhole(events) };
    };

    test('says the text, counts the tokens', async () => {
      const { events, end } = await said(`@echo ${TEXT}`);
      assert.equal(end.type, 'response.completed', JSON.stringify(end));
      assert.equal(textOf(events), PLAIN);
      assert.ok((end.response?.usage?.output_tokens ?? 0) > 5);
      assert.ok((end.response?.usage?.input_tokens ?? 0) > 0);
    });

    test('reasons apart from the text', async () => {
      const { events } = await said(`@echo ${TEXT}\n@reason`);
      assert.equal(textOf(events), PLAIN);
      const thoughts = events.filter(
        ({ type }) =>
          type === 'response.reasoning_text.delta' ||
          type === 'response.reasoning_summary_text.delta',
      );
      assert.match(thoughts.map(({ delta }) => delta).join(''), /^\(simulated\)/);
    });

    test('calls tools with whole arguments, and answers their result', async () => {
      const parameters = {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
      };
      const tools = [
        { type: 'function', name: 'weather', parameters },
        { type: 'function', name: 'clock', parameters: { type: 'object', properties: {} } },
      ];
      const { end } = await said('@tool weather {"city":"Köln 北京"}\n@tool clock {}', { tools });
      const calls = (end.response?.output ?? []).filter(({ type }) => type === 'function_call');
      assert.deepEqual(
        calls.map((call) => [call.name, JSON.parse(String(call.arguments))]),
        [
          ['weather', { city: 'Köln 北京' }],
          ['clock', {}],
        ],
      );
      const results = calls.map(({ call_id }) => ({
        type: 'function_call_output',
        call_id,
        output: 'fine',
      }));
      ask(client, results, { previous_response_id: end.response?.id, tools });
      assert.equal(assertWhole(await answer(client)).type, 'response.completed');
    });

    test('cut by its token limit, the answer is incomplete', async () => {
      const { end } = await said('@tokens 40', { max_output_tokens: 16 });
      assert.equal(end.type, 'response.incomplete');
      assert.equal(end.response?.incomplete_details?.reason, 'max_output_tokens');
    });

    const afterIt: readonly (readonly [string, RegExp])[] = [
      ['reset-after=3', /^upstream_reset$/],
      ['cut-after=3', /^upstream_reset$/],
      ['end-after=3', /^upstream_truncated$/],
      ['malformed-after=3', /^upstream_malformed$/],
      ['error-after=3', /^upstream_error$/],
      ['error-after=3 error-code=overloaded_error', /^(rate_limit_exceeded|upstream_error)$/],
      ['stall-after=3', /^upstream_gap_timeout$/],
      ['oversize-after=3', /^upstream_too_large$/],
      ['bad-utf8-after=3', /^upstream_malformed$/],
      ['no-finish', /^upstream_truncated$/],
    ];
    for (const [fault, code] of afterIt) {
      test(`${fault}: one typed failure after a prefix, and the upstream's socket is not kept`, async () => {
        const { events, end } = await said(`@echo ${TEXT}\n@fault ${fault}`);
        assert.equal(end.type, 'response.failed', JSON.stringify(end));
        assert.match(end.response?.error?.code ?? '', code);
        const got = textOf(events);
        assert.ok(got.length > 0 && PLAIN.startsWith(got), got);
        await until(() => upstream.streams === 0, 'the stream to be gone');
      });
    }

    for (const oddity of [
      'split=9',
      'split=7,1,30',
      'escapes',
      'close',
      'events',
      'comments',
      'finish-late=100',
    ]) {
      test(`${oddity} is no failure`, async () => {
        const { events, end } = await said(`@echo ${TEXT}\n@fault ${oddity}`);
        assert.equal(end.type, 'response.completed', JSON.stringify(end));
        assert.equal(textOf(events), PLAIN);
      });
    }

    test('a refusal of the request is the client’s to mend, a limit is not', async () => {
      const bad = await said('@fault status=400');
      assert.equal(bad.end.response?.error?.code ?? bad.end.error?.code, 'upstream_rejected');
      const limited = await said('@fault status=429 retry-after=0');
      assert.equal(
        limited.end.response?.error?.code ?? limited.end.error?.code,
        'rate_limit_exceeded',
      );
    });
  });
}
