/** What a client may ask for, what it is told otherwise, and what of it reaches a provider. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { responsesCreateFields } from '../../../../../src/protocol/dialects/responses/client-events.ts';
import { Dialogue, frameOf, type Json } from '../../../../support/dialogue.ts';

const ask = { type: 'response.create', model: 'm', input: 'hello' };
const user = (text: string) => ({ role: 'user', content: [{ type: 'text', text }] });
const item = (value: unknown) => ({ input: [value] });

function dialogue() {
  return new Dialogue(dialects.responses);
}

function requestOf(extra: object) {
  return dialogue().run({ ...ask, ...extra }).request;
}

/** [what is sent, code, param, part of the message]; objects without `type` are fields of a create. */
const refused: readonly (readonly [unknown, string, string | null, string])[] = [
  ['', 'invalid_json', null, 'it is empty'],
  ['{', 'invalid_json', null, 'not valid JSON'],
  ['hello', 'invalid_json', null, 'not valid JSON'],
  ['{"type":"response.create"}{}', 'invalid_json', null, 'not valid JSON'],
  ['[]', 'invalid_value', null, 'the message must be an object, got an array'],
  ['null', 'invalid_value', null, 'got null'],
  ['"text"', 'invalid_value', null, 'got "text"'],
  ['1e3', 'invalid_value', null, 'got 1000'],
  ['{}', 'invalid_value', 'type', 'type must be a non-empty string, got nothing'],
  ['{"type":7}', 'invalid_value', 'type', 'got 7'],
  ['{"type":""}', 'invalid_value', 'type', 'got ""'],
  [{ type: 'response.steer' }, 'invalid_value', 'previous_response_id', 'got nothing'],
  [{ type: 'response.cancel', response_id: 1 }, 'invalid_value', 'response_id', 'a string, got 1'],
  [
    { type: 'response.cancel', response_id: 'r' },
    'response_not_found',
    'response_id',
    'no running',
  ],
  [{ type: 'response.cancel', stream_id: '' }, 'invalid_stream_id', 'stream_id', '1 to 256'],
  [{ model: undefined }, 'invalid_value', 'model', 'model must be a non-empty string, got nothing'],
  [{ model: '' }, 'invalid_value', 'model', 'got ""'],
  [{ model: 5 }, 'invalid_value', 'model', 'got 5'],
  [
    { model: 'gpt' },
    'model_not_found',
    'model',
    "The model 'gpt' does not exist here. Available: m",
  ],
  [{ model: '__proto__' }, 'model_not_found', 'model', '__proto__'],
  [{ model: 'y'.repeat(9000) }, 'model_not_found', 'model', '…'],
  [{ stream_id: '' }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ stream_id: 'a b' }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ stream_id: 'ä' }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ stream_id: 'a\n' }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ stream_id: 'x'.repeat(257) }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ stream_id: 7 }, 'invalid_stream_id', 'stream_id', 'stream_id must be'],
  [{ response: [] }, 'invalid_value', 'response', 'response must be an object, got an array'],
  [{ response: 'x' }, 'invalid_value', 'response', 'got "x"'],
  [{ response: { model: 'm', input: 3 } }, 'invalid_value', 'response.input', 'got 3'],
  [{ input: undefined }, 'invalid_value', 'input', 'got nothing'],
  [{ input: [] }, 'invalid_value', 'input', 'got an array'],
  [{ input: 3 }, 'invalid_value', 'input', 'a string or an array of items, got 3'],
  [{ input: {} }, 'invalid_value', 'input', 'got an object'],
  [{ input: ['x'] }, 'invalid_value', 'input[0]', 'input[0] must be an object, got "x"'],
  [{ input: [null] }, 'invalid_value', 'input[0]', 'got null'],
  [item({ role: 'user' }), 'invalid_value', 'input[0].content', 'got nothing'],
  [item({ content: 'x' }), 'invalid_value', 'input[0].role', 'one of "user"'],
  [item({ role: 'tool', content: 'x' }), 'invalid_value', 'input[0].role', 'got "tool"'],
  [item({ role: 'user', content: 7 }), 'invalid_value', 'input[0].content', 'got 7'],
  [item({ role: 'user', content: [7] }), 'invalid_value', 'input[0].content[0]', 'got 7'],
  [
    item({ role: 'user', content: [{ type: 'input_text' }] }),
    'invalid_value',
    'input[0].content[0].text',
    'a string',
  ],
  [
    item({ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }),
    'unsupported_parameter',
    'input[0].content[0].type',
    '"input_file" parts are not understood',
  ],
  [
    item({ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] }),
    'unsupported_parameter',
    'input[0].content[0].file_id',
    'send image_url',
  ],
  [item({ type: 'item_reference', id: 'x' }), 'unsupported_parameter', 'input[0].type', 'itself'],
  [item({ type: 'computer_call' }), 'unsupported_parameter', 'input[0].type', 'computer_call'],
  [item({ type: 'constructor' }), 'unsupported_parameter', 'input[0].type', 'not understood'],
  [item({ type: 'function_call', name: 'f' }), 'invalid_value', 'input[0].call_id', 'got nothing'],
  [item({ type: 'function_call', call_id: 'c' }), 'invalid_value', 'input[0].name', 'got nothing'],
  [
    item({ type: 'function_call_output', call_id: 'c' }),
    'invalid_value',
    'input[0].output',
    'text',
  ],
  [
    item({ type: 'function_call_output', call_id: 'c', output: 'x' }),
    'invalid_value',
    'input',
    'an output for call_id "c"',
  ],
  [{ tools: {} }, 'invalid_value', 'tools', 'an array, got an object'],
  [{ tools: ['x'] }, 'invalid_value', 'tools[0]', 'got "x"'],
  [
    { tools: [{ type: 'web_search' }] },
    'unsupported_parameter',
    'tools[0].type',
    'only "function"',
  ],
  [{ tools: [{ type: 'function' }] }, 'invalid_value', 'tools[0].name', 'got nothing'],
  [
    { tools: [{ type: 'function', name: 'f', parameters: [] }] },
    'invalid_value',
    'tools[0].parameters',
    'JSON Schema',
  ],
  [{ tool_choice: 'sometimes' }, 'invalid_value', 'tool_choice', 'got "sometimes"'],
  [{ tool_choice: { type: 'mcp' } }, 'unsupported_parameter', 'tool_choice.type', '"mcp"'],
  [{ tool_choice: { type: 'function' } }, 'invalid_value', 'tool_choice.name', 'got nothing'],
  [{ parallel_tool_calls: 'yes' }, 'invalid_value', 'parallel_tool_calls', 'true or false'],
  [{ temperature: '1' }, 'invalid_value', 'temperature', 'a number from 0 to 2, got "1"'],
  [{ temperature: 2.1 }, 'invalid_value', 'temperature', 'got 2.1'],
  [{ temperature: -0.1 }, 'invalid_value', 'temperature', 'got -0.1'],
  [{ top_p: 1.01 }, 'invalid_value', 'top_p', 'a number from 0 to 1'],
  [
    { max_output_tokens: 0 },
    'invalid_value',
    'max_output_tokens',
    'an integer of at least 1, got 0',
  ],
  [{ max_output_tokens: 1.5 }, 'invalid_value', 'max_output_tokens', 'got 1.5'],
  [{ instructions: ['x'] }, 'invalid_value', 'instructions', 'a string, got an array'],
  [{ previous_response_id: 1 }, 'invalid_value', 'previous_response_id', 'a string, got 1'],
  [
    { previous_response_id: 'resp_no' },
    'previous_response_not_found',
    'previous_response_id',
    "Previous response with id 'resp_no' not found.",
  ],
  [{ generate: 1 }, 'invalid_value', 'generate', 'true or false'],
  [{ store: 'x' }, 'invalid_value', 'store', 'true or false'],
  [{ truncation: 'none' }, 'invalid_value', 'truncation', 'one of "auto", "disabled"'],
  [{ metadata: [] }, 'invalid_value', 'metadata', 'an object, got an array'],
  [{ metadata: { a: 1 } }, 'invalid_value', 'metadata.a', 'a string, got 1'],
  [{ reasoning: 'high' }, 'invalid_value', 'reasoning', 'an object, got "high"'],
  [{ reasoning: { effort: 1 } }, 'invalid_value', 'reasoning.effort', 'a string, got 1'],
  [{ text: { format: { type: 'xml' } } }, 'invalid_value', 'text.format.type', 'got "xml"'],
  [
    { text: { format: { type: 'json_schema', name: 'x' } } },
    'invalid_value',
    'text.format.schema',
    'got nothing',
  ],
  [
    { text: { format: { type: 'json_schema', schema: {} } } },
    'invalid_value',
    'text.format.name',
    'got nothing',
  ],
  [{ background: true }, 'unsupported_parameter', 'background', 'streams while its session'],
  [{ conversation: 'c' }, 'unsupported_parameter', 'conversation', 'nothing is stored'],
  [{ prompt: { id: 'p' } }, 'unsupported_parameter', 'prompt', 'nothing is stored'],
];

function sent(value: unknown): unknown {
  if (typeof value === 'string') return value;
  return Object.hasOwn(value as object, 'type') ? value : { ...ask, ...(value as object) };
}

for (const [value, code, param, text] of refused) {
  const name = JSON.stringify(value).slice(0, 90);
  test(`${name} is refused with ${code}`, () => {
    const refusal = dialogue().refusal(sent(value));
    assert.equal(refusal['type'], 'error');
    assert.ok(!('sequence_number' in refusal));
    const error = refusal['error'] as Json;
    assert.equal(error['code'], code);
    assert.equal(error['param'], param);
    assert.ok(String(error['message']).includes(text), String(error['message']));
    assert.ok(String(error['message']).length < 600);
    const { status } = MillraceError.fromWire({
      code: (refusal['x_millrace'] as Json)['code'] as 'MILLRACE_CLOSED',
      details: {},
    }).failure;
    assert.equal(refusal['status'], status);
  });
}

test('the documented error has exactly its documented shape', () => {
  const refusal = dialogue().refusal({
    ...ask,
    stream_id: 'main',
    previous_response_id: 'resp_abc',
  });
  const { x_millrace, ...rest } = refusal;
  assert.deepEqual(rest, {
    type: 'error',
    status: 400,
    stream_id: 'main',
    error: {
      type: 'invalid_request_error',
      code: 'previous_response_not_found',
      message: "Previous response with id 'resp_abc' not found.",
      param: 'previous_response_id',
    },
  });
  assert.deepEqual(x_millrace, { code: 'MILLRACE_PREVIOUS_NOT_FOUND', retry: 'never' });
});

test('a refused message on a named lane is answered on that lane', () => {
  for (const value of [
    { ...ask, stream_id: 'a', temperature: 9 },
    { type: 'what', stream_id: 'a' },
    { type: 'response.create', response: { model: 'm', stream_id: 'a' } },
  ])
    assert.equal(dialogue().refusal(value)['stream_id'], 'a');
});

test('a limit says how long to wait, the way HTTP headers would', () => {
  const talk = dialogue();
  const turn = talk.turn(ask);
  const error = new MillraceError('MILLRACE_RATE_LIMITED', { waitMs: 1500 });
  const { json } = frameOf(talk.conversation.refuse(turn, error));
  assert.deepEqual((json['error'] as Json)['headers'], {
    'retry-after': '2',
    'retry-after-ms': '1500',
  });
  assert.equal(json['status'], 429);
});

test('an error outside of any lane names none', () => {
  const frame = dialects.responses.complain(
    new MillraceError('MILLRACE_OVERLOADED', { bound: 'x', waitMs: 1_000 }),
  );
  assert.equal(frameOf(frame).json['stream_id'], undefined);
});

test('a binary message ends the session with 1003', () => {
  const talk = dialogue();
  const command = talk.conversation.decode({ ...talk.message(ask), binary: true });
  assert.equal(command.kind, 'close');
  assert.equal(command.kind === 'close' && command.code, 1003);
});

test('what another thread parsed is used instead of the bytes', () => {
  const talk = dialogue();
  const command = talk.conversation.decode({ ...talk.message('{broken'), parsed: ask });
  assert.equal(command.kind, 'turn');
});

test('a steer is refused with the word that the API defines for it', () => {
  const command = dialogue().say({
    type: 'response.steer',
    previous_response_id: 'resp_1',
    input: [{ role: 'user', content: 'no, left' }],
  });
  assert.equal(command.kind, 'reply');
  const { json } = frameOf(command.kind === 'reply' ? command.frames[0] : new Uint8Array());
  assert.equal(json['type'], 'response.steer.failed');
  assert.equal((json['error'] as Json)['code'], 'steering_not_supported');
  assert.equal(json['sequence_number'], 0);
  const { id, ...steer } = json['steer'] as Json;
  assert.match(String(id), /^steer_/);
  assert.deepEqual(steer, {
    previous_response_id: 'resp_1',
    input: [{ role: 'user', content: 'no, left' }],
  });
});

test('a cancel names a response, a lane, or the default lane', () => {
  const type = 'response.cancel';
  for (const [sent, expected] of [
    [{ type, response_id: 'resp_1' }, { responseId: 'resp_1' }],
    [{ type, stream_id: 'a' }, { lane: 'a' }],
    [{ type }, { lane: '' }],
  ] as const) {
    const command = dialogue().say(sent);
    assert.equal(command.kind, 'cancel');
    const { unmatched, kind, ...rest } = command as Json;
    assert.equal(kind, 'cancel');
    assert.deepEqual(rest, expected);
    assert.equal(frameOf(unmatched as Uint8Array).json['type'], 'error');
  }
});

test('fields stand beside the type or under response', () => {
  const { request, turn, out } = dialogue().run({
    type: 'response.create',
    stream_id: 'a',
    response: { model: 'n', input: 'hi', temperature: 0 },
  });
  assert.deepEqual(request, { model: 'n', temperature: 0, messages: [user('hi')] });
  assert.equal(turn.lane, 'a');
  assert.equal(turn.model, 'n');
  assert.equal(out.frames[0].json['stream_id'], 'a');
  const inside = dialogue().turn({
    type: 'response.create',
    response: { model: 'n', input: 'hi', stream_id: 'b' },
  });
  assert.equal(inside.lane, 'b');
});

test('every request field that a provider can use reaches it', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const request = requestOf({
    instructions: 'be brief',
    tools: [
      { type: 'function', name: 'f', description: 'd', parameters: schema, strict: true },
      { type: 'function', function: { name: 'g' } },
    ],
    tool_choice: { type: 'function', name: 'f' },
    parallel_tool_calls: false,
    temperature: 0.25,
    top_p: 0.5,
    max_output_tokens: 16,
    reasoning: { effort: 'high' },
    text: { format: { type: 'json_schema', name: 's', schema, strict: true } },
    user: 'u',
    seed: -3,
  });
  assert.deepEqual(request, {
    model: 'm',
    messages: [{ role: 'system', content: [{ type: 'text', text: 'be brief' }] }, user('hello')],
    tools: [{ name: 'f', description: 'd', parameters: schema, strict: true }, { name: 'g' }],
    toolChoice: { name: 'f' },
    parallelToolCalls: false,
    temperature: 0.25,
    topP: 0.5,
    maxOutputTokens: 16,
    reasoningEffort: 'high',
    responseFormat: { type: 'json_schema', json_schema: { name: 's', schema, strict: true } },
    seed: -3,
    user: 'u',
  });
});

test('what clients send without need is tolerated', () => {
  const request = requestOf({
    stream: true,
    stream_options: { include_obfuscation: false },
    background: false,
    include: ['reasoning.encrypted_content'],
    client_metadata: { turn: 'x' },
    service_tier: 'auto',
    context_management: [{ type: 'compaction' }],
    moderation: {},
    top_logprobs: 0,
    conversation: null,
    prompt: null,
    instructions: null,
    tools: null,
    tool_choice: null,
    temperature: null,
    previous_response_id: null,
    stream_id: null,
    event_id: 'e',
    unheard: { of: [] },
  });
  assert.deepEqual(request, { model: 'm', messages: [user('hello')] });
});

test('items become messages, and calls stand together in front of their outputs', () => {
  const { messages } = requestOf({
    input: [
      { role: 'developer', content: 'rules' },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'look' },
          { type: 'input_image', image_url: 'data:x', detail: 'low' },
        ],
      },
      { type: 'reasoning', id: 'rs_0', summary: [] },
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'wait', annotations: [] }],
      },
      { type: 'function_call', id: 'fc_2', call_id: 'a', name: 'f', arguments: '{}' },
      { type: 'function_call', call_id: 'b', name: 'g', arguments: '{"x":1}' },
      { type: 'function_call_output', call_id: 'b', output: 'B' },
      {
        type: 'function_call_output',
        call_id: 'a',
        output: [
          { type: 'input_text', text: 'A' },
          { type: 'output_text', text: '!' },
        ],
      },
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '' },
      { role: 'assistant', content: 'after' },
    ],
  });
  assert.deepEqual(messages, [
    { role: 'developer', content: [{ type: 'text', text: 'rules' }] },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'look' },
        { type: 'image', url: 'data:x', detail: 'low' },
      ],
    },
    {
      role: 'assistant',
      content: [{ type: 'text', text: 'wait' }],
      toolCalls: [
        { id: 'a', name: 'f', arguments: '{}' },
        { id: 'b', name: 'g', arguments: '{"x":1}' },
      ],
    },
    { role: 'tool', callId: 'b', content: 'B' },
    { role: 'tool', callId: 'a', content: 'A!' },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'no' },
        { type: 'text', text: 'after' },
      ],
      toolCalls: [{ id: 'c', name: 'f', arguments: '' }],
    },
  ]);
});

test('keys named like the prototype are fields and nothing more', () => {
  const talk = dialogue();
  const hostile = [
    '{"type":"response.create","model":"m","input":"hi","__proto__":{"stream_id":"evil","background":true}}',
    '{"__proto__":{"model":"zzz"},"constructor":{"prototype":{"x":1}},"type":"response.create","model":"m","input":"hi"}',
    '{"type":"nope","type":"response.create","model":"zzz","model":"m","input":"hi"}',
    '{"type":"response.create","model":"m","input":"hi","metadata":{"__proto__":"x","constructor":"y"}}',
    '{"type":"response.create","model":"m","input":[{"role":"user","content":"hi","__proto__":{"type":"item_reference"}}]}',
    '{"type":"response.create","model":"m","input":"hi","toString":1,"hasOwnProperty":2,"valueOf":3}',
  ];
  for (const text of hostile) {
    const { request, turn, out } = talk.run(text);
    assert.deepEqual(request, { model: 'm', messages: [user('hi')] }, text);
    assert.equal(turn.lane, '');
    assert.equal(out.frames[0].json['stream_id'], undefined);
  }
  assert.equal(({} as Json)['stream_id'], undefined);
  assert.equal(({} as Json)['x'], undefined);
});

test('inherited names are never read as fields', () => {
  const refusal = dialogue().refusal(
    '{"type":"response.create","input":"hi","__proto__":{"model":"m"}}',
  );
  assert.equal((refusal['error'] as Json)['param'], 'model');
});

test('a prototype that somebody spoilt is not read', () => {
  const spoilt = { stream_id: 'evil', temperature: 9, background: true };
  const victim: object = Object.prototype;
  for (const [name, value] of Object.entries(spoilt))
    Object.defineProperty(victim, name, { value, configurable: true });
  try {
    const turn = dialogue().turn('{"type":"response.create","model":"m","input":"hi"}');
    assert.equal(turn.lane, '');
  } finally {
    for (const name of Object.keys(spoilt)) Reflect.deleteProperty(Object.prototype, name);
  }
});

test('nesting is bounded where it is passed on, and harmless where it is not', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const tool = (depth: number) =>
    `{"type":"response.create","model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":${nested(depth)}}]}`;
  assert.equal(dialogue().say(tool(128)).kind, 'turn');
  const error = dialogue().refusal(tool(129))['error'] as Json;
  assert.equal(error['param'], 'tools[0].parameters');
  assert.match(String(error['message']), /nested at most 128 levels/);
  const arrays = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  for (const name of ['input', 'tools', 'metadata', 'whatever', 'text', 'response'])
    dialogue().say(`{"type":"response.create","model":"m","${name}":${arrays}}`);
});

test('a message of 16 MiB is read', () => {
  const text = 'ä'.repeat(8 * 1024 * 1024 - 100);
  const { messages } = requestOf({ input: text });
  assert.deepEqual(messages, [user(text)]);
});

test('a connection may name as many lanes as its bound, and use them again', () => {
  for (const lanesMax of [0, 1, 32]) {
    const talk = new Dialogue(dialects.responses, { lanesMax });
    const lane = (number: number) => ({ ...ask, stream_id: `lane${number}` });
    for (let number = 0; number < lanesMax; number++) talk.turn(lane(number));
    const refusal = talk.refusal(lane(lanesMax));
    assert.equal((refusal['error'] as Json)['code'], 'websocket_stream_limit_reached');
    assert.match(String((refusal['error'] as Json)['message']), new RegExp(`at most ${lanesMax} `));
    assert.equal(refusal['stream_id'], `lane${lanesMax}`);
    for (let number = 0; number < lanesMax; number++) talk.turn(lane(number));
    talk.turn(ask);
  }
});

test('a refused request names no lane', () => {
  const talk = new Dialogue(dialects.responses, { lanesMax: 1 });
  talk.refusal({ ...ask, stream_id: 'a', model: 'x' });
  talk.turn({ ...ask, stream_id: 'b' });
});

test('the table of create fields says what becomes of each, once', () => {
  const names = responsesCreateFields.map((field) => field.name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, use } of responsesCreateFields) {
    if (use !== 'refused') continue;
    const refusal = dialogue().refusal({ ...ask, [name]: name === 'background' ? true : 'x' });
    assert.equal((refusal['error'] as Json)['code'], 'unsupported_parameter', name);
  }
});

/** Vendors' events that mean nothing here, events of SDKs to come, misspelt ones. */
const strangers = [
  'session.update',
  'response.creates',
  '__proto__',
  'constructor',
  'x'.repeat(5000),
];
for (const type of strangers) {
  test(`the event ${type.slice(0, 40)} is ignored, and its sender told so without an error event`, () => {
    const told = dialogue().refusal({ type, stream_id: 'a', session: {} });
    assert.equal(told['type'], 'millrace.event.ignored');
    assert.equal(told['stream_id'], 'a');
    assert.ok(
      String(told['event']).length <= 65 && type.startsWith(String(told['event']).replace('…', '')),
    );
    const error = told['error'] as Json;
    assert.deepEqual([error['code'], error['param']], ['unknown_event', 'type']);
    assert.match(String(error['message']), /expected response\.create, response\.cancel/);
    assert.ok(String(error['message']).length < 600);
  });
}

test('input for a running response is given back', () => {
  const input = [{ type: 'function_call_output', call_id: 'c', output: 'x' }];
  const inject = dialogue().refusal({ type: 'response.inject', response_id: 'r', input });
  assert.equal(inject['type'], 'response.inject.failed');
  assert.deepEqual([inject['response_id'], inject['input']], ['r', input]);
  assert.equal((inject['error'] as Json)['code'], 'response_not_found');
  const large = { type: 'response.inject', response_id: 'r', input: ['x'.repeat(70_000)] };
  assert.deepEqual(dialogue().refusal(large)['input'], []);
});
