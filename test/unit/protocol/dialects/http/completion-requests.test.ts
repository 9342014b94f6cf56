/** Chat completions over HTTP: what reaches a provider, and what is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completionFields } from '../../../../../src/protocol/dialects/completions/fields.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { decode, refusal, run } from '../../../../support/posted-dialogue.ts';

const { completions } = dialects;
const messages = [{ role: 'user', content: 'hello' }];
const user = (text: string) => ({ role: 'user', content: [{ type: 'text', text }] });

test('every field that is used reaches the provider', () => {
  const tool = {
    type: 'function',
    function: { name: 'f', description: 'd', parameters: {}, strict: true },
  };
  const { request } = run(completions, {
    messages: [
      { role: 'developer', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what is ' },
          { type: 'image_url', image_url: { url: 'https://x/y.png', detail: 'low' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      {
        role: 'tool',
        tool_call_id: 'a',
        content: [
          { type: 'text', text: 'it ' },
          { type: 'text', text: 'rains' },
        ],
      },
      { role: 'assistant', content: 'rain', refusal: null },
    ],
    tools: [tool],
    tool_choice: { type: 'function', function: { name: 'f' } },
    parallel_tool_calls: false,
    temperature: 0.5,
    top_p: 0.9,
    max_tokens: 7,
    max_completion_tokens: 9,
    reasoning_effort: 'low',
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'n', schema: { type: 'object' } },
    },
    stop: 'end',
    seed: 3,
    user: 'u',
  });
  assert.deepEqual(request, {
    model: 'm',
    messages: [
      { role: 'developer', content: [{ type: 'text', text: 'be brief' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what is ' },
          { type: 'image', url: 'https://x/y.png', detail: 'low' },
        ],
      },
      { role: 'assistant', content: [], toolCalls: [{ id: 'a', name: 'f', arguments: '{}' }] },
      { role: 'tool', callId: 'a', content: 'it rains' },
      { role: 'assistant', content: [{ type: 'text', text: 'rain' }] },
    ],
    tools: [{ name: 'f', description: 'd', parameters: {}, strict: true }],
    toolChoice: { name: 'f' },
    parallelToolCalls: false,
    temperature: 0.5,
    topP: 0.9,
    maxOutputTokens: 9,
    reasoningEffort: 'low',
    responseFormat: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' } } },
    stop: ['end'],
    seed: 3,
    user: 'u',
  });
});

test('values that mean "as usual" are taken, and unknown fields are tolerated', () => {
  const { request } = run(completions, {
    messages,
    n: 1,
    logprobs: false,
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: {},
    modalities: ['text'],
    store: true,
    metadata: { a: 'b' },
    service_tier: 'auto',
    response_format: { type: 'text' },
    tools: [],
    stop: [],
    something_new: { x: 1 },
  });
  assert.deepEqual(request, { model: 'm', messages: [user('hello')] });
});

/** [fields beside a good request, code, param, part of the message] */
const refused: readonly (readonly [object, string, string, string])[] = [
  [{ messages: undefined }, 'invalid_value', 'messages', 'got nothing'],
  [{ messages: [] }, 'invalid_value', 'messages', '1 to'],
  [{ messages: 'hi' }, 'invalid_value', 'messages', 'got "hi"'],
  [{ messages: ['hi'] }, 'invalid_value', 'messages[0]', 'an object'],
  [{ messages: [{ role: 'user' }] }, 'invalid_value', 'messages[0].content', 'got nothing'],
  [{ messages: [{ content: 'x' }] }, 'invalid_value', 'messages[0].role', 'one of'],
  [
    { messages: [{ role: 'function', content: 'x' }] },
    'unsupported_parameter',
    'messages[0].role',
    '"tool"',
  ],
  [{ messages: [{ role: 'assistant' }] }, 'invalid_value', 'messages[0].content', 'nothing'],
  [
    { messages: [{ role: 'tool', content: 'x' }] },
    'invalid_value',
    'messages[0].tool_call_id',
    'nothing',
  ],
  [
    { messages: [{ role: 'tool', tool_call_id: 'a', content: 'x' }] },
    'invalid_value',
    'messages',
    'calls that were made',
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
    'unsupported_parameter',
    'messages[0].content[0].type',
    'input_audio',
  ],
  [
    { messages: [{ role: 'system', content: [{ type: 'image_url' }] }] },
    'unsupported_parameter',
    'messages[0].content[0].type',
    'expected "text"',
  ],
  [{ n: 2 }, 'unsupported_parameter', 'n', 'one answer'],
  [{ n: 0 }, 'invalid_value', 'n', '1 to 128'],
  [{ logprobs: true }, 'unsupported_parameter', 'logprobs', 'do not pass'],
  [{ frequency_penalty: 1 }, 'unsupported_parameter', 'frequency_penalty', 'does not pass'],
  [{ presence_penalty: -1 }, 'unsupported_parameter', 'presence_penalty', 'does not pass'],
  [{ logit_bias: { 5: 1 } }, 'unsupported_parameter', 'logit_bias', 'does not pass'],
  [{ functions: [] }, 'unsupported_parameter', 'functions', 'tools'],
  [{ function_call: 'auto' }, 'unsupported_parameter', 'function_call', 'tool_choice'],
  [{ modalities: ['text', 'audio'] }, 'unsupported_parameter', 'modalities', 'text'],
  [{ audio: {} }, 'unsupported_parameter', 'audio', 'text'],
  [{ web_search_options: {} }, 'unsupported_parameter', 'web_search_options', 'vendor'],
  [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'invalid_value', 'stop', 'at most 4'],
  [{ stop: [''] }, 'invalid_value', 'stop', 'at most 4'],
  [{ stream: 1 }, 'invalid_value', 'stream', 'true or false'],
  [{ stream_options: 1 }, 'invalid_value', 'stream_options', 'an object'],
  [{ temperature: 3 }, 'invalid_value', 'temperature', '0 to 2'],
  [{ max_tokens: 0 }, 'invalid_value', 'max_tokens', 'at least 1'],
  [{ response_format: { type: 'xml' } }, 'invalid_value', 'response_format.type', 'json_object'],
  [
    { response_format: { type: 'json_schema' } },
    'invalid_value',
    'response_format.json_schema',
    'an object',
  ],
  [{ tools: [{ type: 'web_search' }] }, 'unsupported_parameter', 'tools[0].type', 'function'],
];
for (const [fields, code, param, words] of refused) {
  test(`refused with the field's name: ${JSON.stringify(fields).slice(0, 70)}`, () => {
    const { head, error } = refusal(completions, { model: 'm', messages, ...fields });
    assert.deepEqual([head.status, error['code'], error['param']], [400, code, param]);
    assert.ok(String(error['message']).includes(words), String(error['message']));
  });
}

test('the table of fields says of each what the reader does', () => {
  const values: Record<string, unknown> = {
    n: 2,
    logprobs: true,
    top_logprobs: 3,
    frequency_penalty: 1,
    presence_penalty: 1,
    logit_bias: { 5: 1 },
    modalities: ['audio'],
  };
  for (const { name, use } of completionFields) {
    const command = decode(completions, { model: 'm', messages, [name]: values[name] ?? {} });
    if (use === 'refused') assert.equal(command.kind, 'reply', name);
    if (use === 'ignored') assert.equal(command.kind, 'turn', name);
  }
});
