/** Goal: a turn becomes the chat-completion request that servers take, and what cannot be said is refused by name. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { providerNames } from '../../../../src/options/names.ts';
import { openaiChat } from '../../../../src/protocol/providers/openai-chat.ts';
import { providers } from '../../../../src/protocol/providers/providers.ts';
import type { Message, ModelRequest } from '../../../../src/protocol/request.ts';

const hello: Message = { role: 'user', content: [{ type: 'text', text: 'hello' }] };

function encoded(request: Partial<ModelRequest>, model = 'tiny'): Record<string, unknown> {
  const whole = { model: 'asked', messages: [hello], ...request };
  return JSON.parse(openaiChat.encode(whole, { name: 'lab', model }).body) as Record<
    string,
    unknown
  >;
}

const messagesOf = (...messages: Message[]) => encoded({ messages })['messages'];
const said = (text: string) => [{ type: 'text', text } as const];

describe('a request', () => {
  test('asks for a stream with usage, uncompressed, at the path below the base URL', () => {
    const { method, path, headers, body } = openaiChat.encode(
      { model: 'asked', messages: [hello] },
      { name: 'lab', model: 'theirs', apiKey: 'sk-1' },
    );
    assert.equal(method, 'POST');
    assert.equal(path, '/chat/completions');
    assert.deepEqual(headers, {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'accept-encoding': 'identity',
      authorization: 'Bearer sk-1',
    });
    assert.deepEqual(JSON.parse(body), {
      model: 'theirs',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('without a key has no authorization', () => {
    for (const facts of [{}, { apiKey: '' }]) {
      const { headers } = openaiChat.encode(
        { model: 'm', messages: [hello] },
        { name: 'lab', model: 'm', ...facts },
      );
      assert.ok(!('authorization' in headers));
    }
  });

  test('carries the settings under the names servers know', () => {
    assert.deepEqual(
      encoded({
        temperature: 0,
        topP: 0.5,
        maxOutputTokens: 7,
        reasoningEffort: 'low',
        seed: 0,
        user: 'u',
      }),
      {
        model: 'tiny',
        messages: [{ role: 'user', content: 'hello' }],
        stream: true,
        stream_options: { include_usage: true },
        temperature: 0,
        top_p: 0.5,
        max_tokens: 7,
        reasoning_effort: 'low',
        seed: 0,
        user: 'u',
      },
    );
  });

  test('limits the length in the word the model takes', () => {
    for (const model of ['o1', 'o3-mini', 'gpt-5', 'gpt-5.1-codex', 'openai/gpt-5'])
      assert.equal(encoded({ maxOutputTokens: 7 }, model)['max_completion_tokens'], 7, model);
    for (const model of ['gpt-4o', 'tiny', 'llama-3', 'meta/o', 'solar-o1'])
      assert.equal(encoded({ maxOutputTokens: 7 }, model)['max_tokens'], 7, model);
  });
});

describe('messages', () => {
  test('with one text are a string, with several or with images a list', () => {
    assert.deepEqual(messagesOf({ role: 'user', content: [] }), [{ role: 'user', content: '' }]);
    assert.deepEqual(
      messagesOf({
        role: 'user',
        content: [
          ...said('a'),
          ...said('b'),
          { type: 'image', url: 'data:x', detail: 'low' },
          { type: 'image', url: 'https://x' },
        ],
      }),
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
            { type: 'image_url', image_url: { url: 'data:x', detail: 'low' } },
            { type: 'image_url', image_url: { url: 'https://x' } },
          ],
        },
      ],
    );
  });

  test('of a developer go under the role every server knows', () => {
    assert.deepEqual(
      messagesOf(
        { role: 'developer', content: said('d') },
        { role: 'system', content: said('s') },
        hello,
      ),
      [
        { role: 'system', content: 'd' },
        { role: 'system', content: 's' },
        { role: 'user', content: 'hello' },
      ],
    );
  });

  test('of the assistant carry tool calls, the results their ids', () => {
    const call = { id: 'a', name: 'f', arguments: '{"x":1}' };
    const wire = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } };
    assert.deepEqual(
      messagesOf(
        { role: 'assistant', content: [], toolCalls: [call] },
        { role: 'tool', callId: 'a', content: 'r' },
        { role: 'assistant', content: said('t'), toolCalls: [] },
      ),
      [
        { role: 'assistant', content: null, tool_calls: [wire] },
        { role: 'tool', tool_call_id: 'a', content: 'r' },
        { role: 'assistant', content: 't' },
      ],
    );
  });

  test('that are one turn of the assistant become one message, right before their results', () => {
    const call = (id: string) => ({ id, name: 'f', arguments: '{}' });
    const wire = (id: string) => ({
      id,
      type: 'function',
      function: { name: 'f', arguments: '{}' },
    });
    assert.deepEqual(
      messagesOf(
        { role: 'assistant', content: said('first') },
        { role: 'assistant', content: said('t') },
        { role: 'assistant', content: [], toolCalls: [call('a')] },
        { role: 'assistant', content: [], toolCalls: [call('b')] },
        { role: 'tool', callId: 'a', content: '1' },
        { role: 'tool', callId: 'b', content: '2' },
      ),
      [
        { role: 'assistant', content: 'first' },
        {
          role: 'assistant',
          content: 't',
          tool_calls: [wire('a'), wire('b')],
        },
        { role: 'tool', tool_call_id: 'a', content: '1' },
        { role: 'tool', tool_call_id: 'b', content: '2' },
      ],
    );
    assert.deepEqual(
      messagesOf(
        { role: 'assistant', content: said('a') },
        { role: 'assistant', content: said('b') },
      ),
      [
        { role: 'assistant', content: 'a' },
        { role: 'assistant', content: 'b' },
      ],
    );
  });

  test('with images where the protocol has no place for them are refused by their path', () => {
    for (const role of ['system', 'developer', 'assistant'] as const) {
      const image = { type: 'image', url: 'data:x' } as const;
      refused(
        () => messagesOf(hello, { role, content: [...said('a'), image] }),
        'messages[1].content[1]',
      );
    }
  });
});

describe('tools', () => {
  const tool = { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true };

  test('are functions, and the choice among them is said', () => {
    const wire = { type: 'function', function: tool };
    for (const choice of ['none', 'auto', 'required'] as const)
      assert.equal(encoded({ tools: [tool], toolChoice: choice })['tool_choice'], choice);
    const body = encoded({
      tools: [tool, { name: 'g' }],
      toolChoice: { name: 'f' },
      parallelToolCalls: false,
    });
    assert.deepEqual(body['tools'], [wire, { type: 'function', function: { name: 'g' } }]);
    assert.deepEqual(body['tool_choice'], { type: 'function', function: { name: 'f' } });
    assert.equal(body['parallel_tool_calls'], false);
  });

  test('that are none take their settings with them', () => {
    const body = encoded({ tools: [], toolChoice: 'auto', parallelToolCalls: true });
    for (const field of ['tools', 'tool_choice', 'parallel_tool_calls'])
      assert.ok(!(field in body), field);
  });
});

describe('the format of the answer', () => {
  const schema = { type: 'object', properties: {} };
  const wire = { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } };

  test('is taken in the form of chat and in the one of the Responses API', () => {
    const nested = { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } };
    const flat = { type: 'json_schema', name: 'n', schema, strict: true };
    for (const responseFormat of [nested, flat])
      assert.deepEqual(encoded({ responseFormat })['response_format'], wire);
    assert.deepEqual(encoded({ responseFormat: { type: 'json_object' } })['response_format'], {
      type: 'json_object',
    });
    for (const responseFormat of [{ type: 'text' }, null, undefined])
      assert.ok(!('response_format' in encoded({ responseFormat })));
  });

  test('is refused in any other form', () => {
    for (const responseFormat of [
      { type: 'grammar' },
      {},
      'json',
      [],
      { type: 'json_schema' },
      { type: 'json_schema', name: 'n', schema: 7 },
    ])
      refused(() => encoded({ responseFormat }), 'response_format');
  });
});

test('whatever a client writes, the body is JSON in well-formed text', () => {
  const nasty = 'a\ud83c"\\\u2028\0</script>';
  const { body } = openaiChat.encode(
    { model: 'm', messages: [{ role: 'user', content: said(nasty) }] },
    { name: 'lab', model: 'm' },
  );
  assert.doesNotMatch(body, /\p{Surrogate}/u);
  assert.equal(
    (JSON.parse(body) as { messages: { content: string }[] }).messages[0].content,
    nasty,
  );
});

test('every provider an upstream may name is there, under its own name', () => {
  assert.deepEqual(Object.keys(providers).toSorted(), [...providerNames].toSorted());
  for (const [name, provider] of Object.entries(providers)) assert.equal(provider.name, name);
});

function refused(run: () => unknown, path: string): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, 'MILLRACE_FIELD_UNSUPPORTED');
    assert.equal(error.details['path'], path);
    return true;
  });
}
