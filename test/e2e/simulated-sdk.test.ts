/** The simulated upstream, read by the official SDKs over HTTP: what they cannot read, no provider would send. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { answerFor } from '../../src/simulate/answer.ts';
import { parseChatRequest } from '../../src/simulate/chat-request.ts';
import { directivesIn } from '../../src/simulate/directives.ts';
import { startSimulated } from '../../src/simulate/server.ts';

const root = new URL('../../../', import.meta.url);
const { clients } = (await import(new URL('scripts/clients.mjs', root).href)) as {
  clients(this: void): string[];
};

interface Chunk {
  choices: {
    delta: {
      content?: string;
      reasoning_content?: string;
      tool_calls?: { index: number; function: { name?: string; arguments: string } }[];
    };
    finish_reason: string | null;
  }[];
  usage?: { completion_tokens: number } | null;
}
interface Sdk {
  chat: {
    completions: {
      create(request: object, options?: object): Promise<AsyncIterable<Chunk>>;
    };
  };
  models: { list(): Promise<{ data: { id: string }[] }> };
}
type SdkClass = new (options: object) => Sdk;

const seed = 3;
const server = await startSimulated({ seed, tokensPerSecond: 20_000, firstTokenMs: 1 });
after(() => server.close());

for (const folder of clients()) {
  const name = folder.split('/').at(-1);
  const { default: OpenAI } = (await import(`file://${folder}/node_modules/openai/index.mjs`)) as {
    default: SdkClass;
  };
  const sdk = new OpenAI({ apiKey: 'any', baseURL: server.url, maxRetries: 0 });

  /** Asks, reads to the end, and answers the chunks beside what they should have said. */
  async function ask(prompt: string, more: object = {}, faults = '') {
    const messages = [{ role: 'user', content: prompt }];
    const request = { model: 'demo', stream: true, messages, ...more };
    const number = server.journal.requests;
    const stream = await sdk.chat.completions.create(request, {
      headers: { 'x-simulate': faults },
    });
    const chunks: Chunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const parsed = parseChatRequest(JSON.stringify(request));
    const seeds = { seed, number, meanTokens: 120 };
    const want = answerFor(parsed, directivesIn(prompt, 'simulated'), seeds);
    const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta));
    const text = deltas.map((delta) => delta.content ?? '').join('');
    return { chunks, deltas, want, text };
  }

  test(`${name} reads the same answer in every framing`, async () => {
    const framings = ['', 'framing=crlf', 'framing=cr', 'comments events', 'no-space multi-data'];
    for (const framing of [
      ...framings,
      'escapes obfuscation null-fields',
      'split=1000,1,7',
      'bare-done',
    ]) {
      const { want, text } = await ask('hello\n@reason', {}, framing);
      assert.equal(text, want.content.join(''), framing);
    }
  });

  test(`${name} reads usage, reasoning, tool calls and the model list`, async () => {
    const usage = { stream_options: { include_usage: true } };
    const thought = await ask('@reason\n@tokens 9', usage);
    assert.equal(thought.chunks.at(-1)?.usage?.completion_tokens, thought.want.completionTokens);
    const reasoning = thought.deltas.map((delta) => delta.reasoning_content ?? '').join('');
    assert.equal(reasoning, thought.want.reasoning.join(''));
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
    const called = await ask('@tool f {"a":[1,2,3]}', { tools });
    const calls = called.deltas.flatMap((delta) => delta.tool_calls ?? []);
    assert.equal(calls.map((call) => call.function.arguments).join(''), '{"a":[1,2,3]}');
    assert.deepEqual(
      (await sdk.models.list()).data.map(({ id }) => id),
      ['demo'],
    );
  });

  test(`${name} throws its own errors for statuses and errors in the stream`, async () => {
    const limited = ask('hi', {}, 'status=429 retry-after=1');
    await assert.rejects(limited, { status: 429, code: 'rate_limit_exceeded' });
    await assert.rejects(ask('hi', {}, 'status=503'), { status: 503 });
    await assert.rejects(ask('hi', { model: 'x' }), { status: 404, code: 'model_not_found' });
    await assert.rejects(ask('hi', {}, 'error-after=2'), { code: 'server_error' });
    await assert.rejects(ask('hi', {}, 'malformed-after=2'), SyntaxError);
    await assert.rejects(ask('hi', {}, 'reset-after=2'));
  });
}
