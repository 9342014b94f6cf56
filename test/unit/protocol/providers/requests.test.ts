/** A turn in the words of each provider; what one cannot say is refused by name, never left out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { providers } from '../../../../src/protocol/providers/providers.ts';
import type { ModelRequest } from '../../../../src/protocol/request.ts';

const facts = { name: 'lab', model: 'tiny', apiKey: 'sk-lab-1' };
const body = (provider: string, request: Partial<ModelRequest>): Record<string, unknown> =>
  JSON.parse(
    providers[provider].encode({ model: 'tiny', messages: [], ...request }, facts).body,
  ) as never;

const text = (words: string) => [{ type: 'text', text: words }] as const;
const conversation: ModelRequest['messages'] = [
  { role: 'system', content: text('be brief') },
  { role: 'developer', content: text('be kind') },
  {
    role: 'user',
    content: [...text('what is this?'), { type: 'image', url: 'data:image/png;base64,AAAA' }],
  },
  {
    role: 'assistant',
    content: text('let me see'),
    toolCalls: [{ id: 'call_1', name: 'look', arguments: '{"at":1}' }],
  },
  { role: 'tool', callId: 'call_1', content: 'a river' },
  { role: 'user', content: text('and now?') },
];
const tools = [{ name: 'look', description: 'looks', parameters: { type: 'object' } }];

describe('openai-responses', () => {
  test('turns messages into items, and asks that nothing is kept', () => {
    const { method, path, headers } = providers['openai-responses'].encode(
      { model: 'm', messages: [] },
      facts,
    );
    assert.deepEqual(
      [method, path, headers['authorization']],
      ['POST', '/responses', 'Bearer sk-lab-1'],
    );
    const sent = body('openai-responses', {
      messages: conversation,
      tools,
      maxOutputTokens: 9,
      reasoningEffort: 'low',
    });
    assert.deepEqual(sent['input'], [
      { role: 'system', content: [{ type: 'input_text', text: 'be brief' }] },
      { role: 'developer', content: [{ type: 'input_text', text: 'be kind' }] },
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'what is this?' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
        ],
      },
      { role: 'assistant', content: [{ type: 'output_text', text: 'let me see' }] },
      { type: 'function_call', call_id: 'call_1', name: 'look', arguments: '{"at":1}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'a river' },
      { role: 'user', content: [{ type: 'input_text', text: 'and now?' }] },
    ]);
    assert.deepEqual(
      [sent['model'], sent['stream'], sent['store'], sent['max_output_tokens'], sent['reasoning']],
      ['tiny', true, false, 9, { effort: 'low' }],
    );
    assert.deepEqual(sent['tools'], [
      {
        type: 'function',
        name: 'look',
        description: 'looks',
        parameters: { type: 'object' },
        strict: false,
      },
    ]);
  });

  test('a JSON schema lies flat', () => {
    const schema = { type: 'object' };
    const responseFormat = {
      type: 'json_schema',
      json_schema: { name: 'n', schema, strict: true },
    };
    assert.deepEqual(body('openai-responses', { responseFormat })['text'], {
      format: { type: 'json_schema', name: 'n', schema, strict: true },
    });
  });
});

describe('anthropic', () => {
  test('keeps the system apart, lets user and assistant take turns, and hands results in as the user', () => {
    const { path, headers } = providers['anthropic'].encode({ model: 'm', messages: [] }, facts);
    assert.deepEqual(
      [path, headers['x-api-key'], headers['authorization']],
      ['/messages', 'sk-lab-1', undefined],
    );
    assert.equal(headers['anthropic-version'], '2023-06-01');
    const sent = body('anthropic', {
      messages: conversation,
      tools,
      toolChoice: 'required',
      parallelToolCalls: false,
    });
    assert.equal(sent['system'], 'be brief\n\nbe kind');
    assert.deepEqual(sent['messages'], [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what is this?' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'let me see' },
          { type: 'tool_use', id: 'call_1', name: 'look', input: { at: 1 } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'call_1', content: 'a river' },
          { type: 'text', text: 'and now?' },
        ],
      },
    ]);
    assert.deepEqual(sent['tool_choice'], { type: 'any', disable_parallel_tool_use: true });
    assert.deepEqual(sent['tools'], [
      { name: 'look', description: 'looks', input_schema: { type: 'object' } },
    ]);
    assert.equal(sent['max_tokens'], 4_096);
  });

  test('thinks as much as asked, on top of the answer', () => {
    const sent = body('anthropic', { reasoningEffort: 'medium', maxOutputTokens: 100 });
    assert.deepEqual(sent['thinking'], { type: 'enabled', budget_tokens: 8_192 });
    assert.equal(sent['max_tokens'], 8_292);
    assert.equal(body('anthropic', { reasoningEffort: 'none' })['thinking'], undefined);
  });

  test('a tool without parameters takes an empty object', () => {
    const sent = body('anthropic', { tools: [{ name: 'now' }] });
    assert.deepEqual(sent['tools'], [
      { name: 'now', input_schema: { type: 'object', properties: {} } },
    ]);
  });
});

describe('ollama', () => {
  test('puts the settings under options, and names a result by its tool', () => {
    const { path, headers } = providers['ollama'].encode({ model: 'm', messages: [] }, facts);
    assert.deepEqual([path, headers['accept']], ['/api/chat', 'application/x-ndjson']);
    const sent = body('ollama', {
      messages: conversation,
      tools,
      temperature: 0.5,
      seed: 7,
      maxOutputTokens: 9,
    });
    assert.deepEqual(sent['messages'], [
      { role: 'system', content: 'be brief' },
      { role: 'system', content: 'be kind' },
      { role: 'user', content: 'what is this?', images: ['AAAA'] },
      {
        role: 'assistant',
        content: 'let me see',
        tool_calls: [{ function: { name: 'look', arguments: { at: 1 } } }],
      },
      { role: 'tool', content: 'a river', tool_name: 'look' },
      { role: 'user', content: 'and now?' },
    ]);
    assert.deepEqual(sent['options'], { temperature: 0.5, num_predict: 9, seed: 7 });
  });

  test('a schema is the format itself', () => {
    const schema = { type: 'object' };
    assert.deepEqual(
      body('ollama', { responseFormat: { type: 'json_schema', name: 'n', schema } })['format'],
      schema,
    );
    assert.equal(body('ollama', { responseFormat: { type: 'json_object' } })['format'], 'json');
  });
});

test('what a protocol cannot say is refused, and the field is named', () => {
  const image = (url: string, role: 'user' | 'system' = 'user'): Partial<ModelRequest> => ({
    messages: [{ role, content: [{ type: 'image', url }] }],
  });
  const call: Partial<ModelRequest> = {
    messages: [
      { role: 'assistant', content: [], toolCalls: [{ id: 'a', name: 'b', arguments: '[1]' }] },
    ],
  };
  const cases: readonly [provider: string, request: Partial<ModelRequest>, path: string][] = [
    ['openai-responses', { seed: 1 }, 'seed'],
    ['openai-responses', { stop: ['x'] }, 'stop'],
    ['openai-responses', image('data:image/png;base64,AA', 'system'), 'messages[0].content[0]'],
    ['openai-responses', { responseFormat: { type: 'grammar' } }, 'response_format'],
    ['anthropic', { seed: 1 }, 'seed'],
    ['anthropic', { responseFormat: { type: 'json_object' } }, 'response_format'],
    ['anthropic', { reasoningEffort: 'enormous' }, 'reasoning.effort'],
    ['anthropic', { reasoningEffort: 'low', temperature: 0 }, 'temperature'],
    ['anthropic', image('ftp://x/y.png'), 'messages[0].content[0]'],
    ['anthropic', image('data:image/png;base64,AA', 'system'), 'messages[0].content[0]'],
    ['anthropic', call, 'messages[0].arguments'],
    ['ollama', { user: 'me' }, 'user'],
    ['ollama', image('https://x/y.png'), 'messages[0].content[0]'],
    ['ollama', { tools: [...tools], toolChoice: 'required' }, 'tool_choice'],
    ['ollama', { tools: [...tools], toolChoice: { name: 'look' } }, 'tool_choice'],
    ['ollama', call, 'messages[0].arguments'],
    [
      'openai-chat',
      { responseFormat: { type: 'json_schema', json_schema: {} } },
      'response_format',
    ],
  ];
  for (const [provider, request, path] of cases) {
    assert.throws(
      () => body(provider, request),
      (error) =>
        error instanceof MillraceError &&
        error.code === 'MILLRACE_FIELD_UNSUPPORTED' &&
        error.details['path'] === path,
      `${provider}: ${path}`,
    );
  }
});

test('stop sequences reach every provider that has them', () => {
  const stop = ['END', '###'];
  assert.deepEqual(body('openai-chat', { stop })['stop'], stop);
  assert.deepEqual(body('anthropic', { stop })['stop_sequences'], stop);
  assert.deepEqual((body('ollama', { stop })['options'] as { stop: unknown }).stop, stop);
});

test('limits of other vendors are limits: overloaded is a pause, not a failure', () => {
  const { anthropic } = providers;
  const headers: Record<string, string> = {
    date: 'Wed, 25 Nov 2026 10:00:00 GMT',
    'anthropic-ratelimit-requests-remaining': '5',
    'anthropic-ratelimit-tokens-remaining': '0',
    'anthropic-ratelimit-tokens-reset': '2026-11-25T10:00:07Z',
  };
  const none = () => undefined;
  const said = Buffer.from(
    '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
  );
  const limited = anthropic.refusal('lab', 429, (name) => headers[name], said);
  assert.deepEqual([limited.code, limited.details['waitMs']], ['MILLRACE_UPSTREAM_LIMITED', 7_000]);
  assert.equal(anthropic.refusal('lab', 529, none, said).code, 'MILLRACE_UPSTREAM_LIMITED');
});
