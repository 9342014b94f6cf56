/** What a client of the Responses mode sees, event by event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import { Flag } from '../../../../../src/memory/layout.ts';
import { FrameFlag } from '../../../../../src/protocol/dialect.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { responsesServerEvents } from '../../../../../src/protocol/dialects/responses/server-events.ts';
import { Delta } from '../../../../../src/protocol/events.ts';
import { Dialogue, delta, type Json, type Recorder } from '../../../../support/dialogue.ts';

const ask = { type: 'response.create', model: 'm', input: 'hello' };

function start(extra: object = {}, bounds = {}) {
  return new Dialogue(dialects.responses, bounds).run({ ...ask, ...extra });
}

/** Short names of the events, in order. */
function script(out: Recorder): string {
  return out.types.map((type) => String(type).replace('response.', '')).join(' ');
}

function response(out: Recorder): Json {
  return out.last.json['response'] as Json;
}

function flagged(out: Recorder, flag: number): number[] {
  return out.frames.filter((frame) => frame.flags & flag).map((frame) => frame.sequence);
}

test('the flags of frames are the flags of records', () => {
  for (const [name, bit] of Object.entries(FrameFlag)) {
    assert.equal(bit, Flag[name as keyof typeof FrameFlag], name);
  }
});

test('a text answer has the order of events that the API documents', () => {
  const { encoder, out } = start();
  delta(encoder, Delta.text, 'Grüße, "Welt"\n');
  delta(encoder, Delta.text, '🙂');
  encoder.usage({ inputTokens: 12, cachedTokens: 3, outputTokens: 6, reasoningTokens: 2 });
  encoder.finish('stop');
  assert.equal(
    script(out),
    'created in_progress output_item.added content_part.added output_text.delta output_text.delta ' +
      'output_text.done content_part.done output_item.done completed',
  );
  assert.deepEqual(
    out.frames.map((frame) => frame.json['sequence_number']),
    out.frames.map((_, index) => index),
  );
  assert.deepEqual(flagged(out, FrameFlag.opener), [0, 1]);
  assert.deepEqual(flagged(out, FrameFlag.commit), [2]);
  assert.deepEqual(flagged(out, FrameFlag.terminal), [9]);
  const text = 'Grüße, "Welt"\n🙂';
  const part = { type: 'output_text', annotations: [], logprobs: [], text };
  const where = { item_id: 'msg_0', output_index: 0, content_index: 0 };
  assert.deepEqual(out.frames[4].json, {
    type: 'response.output_text.delta',
    sequence_number: 4,
    ...where,
    logprobs: [],
    delta: 'Grüße, "Welt"\n',
  });
  assert.deepEqual(out.frames[3].json['part'], { ...part, text: '' });
  assert.equal(out.frames[6].json['text'], text);
  assert.deepEqual(out.frames[7].json['part'], part);
  const item = { id: 'msg_0', type: 'message', status: 'completed', role: 'assistant' };
  assert.deepEqual(out.frames[2].json['item'], { ...item, status: 'in_progress', content: [] });
  assert.deepEqual(out.frames[8].json['item'], { ...item, content: [part] });
  assert.deepEqual(response(out)['output'], [{ ...item, content: [part] }]);
  assert.deepEqual(response(out)['usage'], {
    input_tokens: 12,
    input_tokens_details: { cached_tokens: 3, cache_write_tokens: 0 },
    output_tokens: 6,
    output_tokens_details: { reasoning_tokens: 2 },
    total_tokens: 18,
  });
});

test('the response object says everything a strict client looks for', () => {
  const asked = {
    instructions: 'be brief',
    temperature: 0.5,
    top_p: 0.9,
    max_output_tokens: 100,
    max_tool_calls: 3,
    metadata: { a: 'b' },
    store: false,
    truncation: 'auto',
    parallel_tool_calls: false,
    tool_choice: 'required',
    reasoning: { effort: 'low', summary: 'auto' },
    service_tier: 'flex',
    safety_identifier: 's',
    prompt_cache_key: 'k',
    text: { format: { type: 'json_object' }, verbosity: 'low' },
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
  };
  const { out, encoder, turn } = start(asked);
  encoder.from('somewhere');
  encoder.finish('stop');
  const { tools, ...same } = asked;
  const rest = {
    id: turn.responseId,
    object: 'response',
    created_at: 1_700_000_000,
    error: null,
    incomplete_details: null,
    model: 'm',
    previous_response_id: null,
    output: [],
    background: false,
    frequency_penalty: 0,
    presence_penalty: 0,
    top_logprobs: 0,
    usage: null,
    ...same,
    tools: [{ ...tools[0], description: null, strict: null }],
  };
  const opened = { ...rest, status: 'in_progress', completed_at: null };
  assert.deepEqual(out.frames[0].json['response'], opened);
  assert.deepEqual(out.frames[1].json['response'], opened);
  const done = { status: 'completed', completed_at: 1_700_000_000 };
  assert.deepEqual(response(out), {
    ...rest,
    ...done,
    x_millrace: { upstream: 'somewhere', attempts: 1 },
  });
});

test('what a request leaves out comes back with the API defaults', () => {
  const { out } = start();
  const { id, ...object } = out.frames[0].json['response'] as Json;
  assert.match(String(id), /^resp_[A-Za-z0-9_-]{31}$/);
  assert.deepEqual(object, {
    object: 'response',
    created_at: 1_700_000_000,
    completed_at: null,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    output: [],
    usage: null,
    background: false,
    frequency_penalty: 0,
    instructions: null,
    max_output_tokens: null,
    max_tool_calls: null,
    metadata: {},
    model: 'm',
    parallel_tool_calls: true,
    presence_penalty: 0,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: null, summary: null },
    safety_identifier: null,
    service_tier: 'default',
    store: true,
    temperature: 1,
    text: { format: { type: 'text' }, verbosity: 'medium' },
    tool_choice: 'auto',
    tools: [],
    top_logprobs: 0,
    top_p: 1,
    truncation: 'disabled',
  });
});

test('completed_at is the clock of the end, when there is a clock', () => {
  const { encoder, out } = start({}, { now: () => 1_700_000_009_999 });
  encoder.finish('stop');
  assert.equal(response(out)['completed_at'], 1_700_000_009);
});

test('reasoning is an item of its own in front of the message', () => {
  const { encoder, out } = start();
  delta(encoder, Delta.reasoning, 'hm');
  delta(encoder, Delta.text, 'yes');
  encoder.finish('stop');
  assert.equal(
    script(out),
    'created in_progress output_item.added content_part.added reasoning_text.delta reasoning_text.done ' +
      'content_part.done output_item.done output_item.added content_part.added output_text.delta ' +
      'output_text.done content_part.done output_item.done completed',
  );
  const [reasoning, message] = response(out)['output'] as Json[];
  assert.deepEqual(reasoning, {
    id: 'rs_0',
    type: 'reasoning',
    status: 'completed',
    summary: [],
    content: [{ type: 'reasoning_text', text: 'hm' }],
  });
  assert.equal(message['id'], 'msg_1');
});

test('a refusal is a part of the message', () => {
  const { encoder, out } = start();
  delta(encoder, Delta.text, 'well');
  delta(encoder, Delta.refusal, 'no');
  delta(encoder, Delta.refusal, '!');
  encoder.finish('stop');
  assert.equal(
    script(out),
    'created in_progress output_item.added content_part.added output_text.delta output_text.done ' +
      'content_part.done content_part.added refusal.delta refusal.delta refusal.done content_part.done ' +
      'output_item.done completed',
  );
  const [message] = response(out)['output'] as Json[];
  assert.deepEqual((message['content'] as Json[])[1], { type: 'refusal', refusal: 'no!' });
  assert.deepEqual(
    out.frames
      .filter((frame) => String(frame.json['type']).includes('refusal'))
      .map((frame) => frame.json['content_index']),
    [1, 1, 1],
  );
});

test('parallel calls interleave their arguments and end in their order', () => {
  const { encoder, out } = start();
  delta(encoder, Delta.text, 'let me see');
  encoder.tool(0, 'call_a', 'weather');
  delta(encoder, Delta.arguments, '{"city":', 0);
  encoder.tool(1, 'call_b', 'time');
  delta(encoder, Delta.arguments, '{}', 1);
  delta(encoder, Delta.arguments, '"Köln"}', 0);
  encoder.finish('tool_calls');
  assert.equal(
    script(out),
    'created in_progress output_item.added content_part.added output_text.delta output_text.done ' +
      'content_part.done output_item.done output_item.added function_call_arguments.delta ' +
      'output_item.added function_call_arguments.delta function_call_arguments.delta ' +
      'function_call_arguments.done output_item.done function_call_arguments.done output_item.done completed',
  );
  const call = { type: 'function_call', status: 'completed' };
  assert.deepEqual((response(out)['output'] as Json[]).slice(1), [
    { id: 'fc_1', ...call, call_id: 'call_a', name: 'weather', arguments: '{"city":"Köln"}' },
    { id: 'fc_2', ...call, call_id: 'call_b', name: 'time', arguments: '{}' },
  ]);
  assert.deepEqual(out.frames[8].json['item'], {
    id: 'fc_1',
    type: 'function_call',
    status: 'in_progress',
    call_id: 'call_a',
    name: 'weather',
    arguments: '',
  });
  assert.deepEqual(out.frames[12].json, {
    type: 'response.function_call_arguments.delta',
    sequence_number: 12,
    item_id: 'fc_1',
    output_index: 1,
    delta: '"Köln"}',
  });
  assert.deepEqual(out.frames[13].json, {
    type: 'response.function_call_arguments.done',
    sequence_number: 13,
    item_id: 'fc_1',
    output_index: 1,
    name: 'weather',
    arguments: '{"city":"Köln"}',
  });
});

test('a call commits with its name, and one without an id gets one', () => {
  const { encoder, out, turn } = start();
  assert.equal(encoder.committed, false);
  encoder.tool(0, '', 'f');
  encoder.tool(0, 'again', 'f');
  assert.equal(encoder.committed, true);
  assert.deepEqual(flagged(out, FrameFlag.commit), [2]);
  encoder.finish('tool_calls');
  const [call, ...others] = response(out)['output'] as Json[];
  assert.deepEqual(others, []);
  assert.equal(call['call_id'], `call_${turn.responseId.slice(-12)}_0`);
});

for (const [reason, said] of [
  ['length', 'max_output_tokens'],
  ['content_filter', 'content_filter'],
] as const) {
  test(`an answer cut by ${reason} is incomplete, and so is the item it was cut in`, () => {
    const { encoder, out } = start();
    delta(encoder, Delta.reasoning, 'hm');
    delta(encoder, Delta.text, 'half a sen');
    encoder.finish(reason);
    assert.equal(out.last.json['type'], 'response.incomplete');
    assert.equal(response(out)['status'], 'incomplete');
    assert.equal(response(out)['completed_at'], null);
    assert.deepEqual(response(out)['incomplete_details'], { reason: said });
    const statuses = (response(out)['output'] as Json[]).map((item) => item['status']);
    assert.deepEqual(statuses, ['completed', 'incomplete']);
    assert.equal((out.frames[out.frames.length - 2].json['item'] as Json)['status'], 'incomplete');
  });
}

test('of several calls only the cut one is incomplete', () => {
  const { encoder, out } = start();
  encoder.tool(0, 'a', 'f');
  delta(encoder, Delta.arguments, '{}', 0);
  encoder.tool(1, 'b', 'g');
  encoder.finish('length');
  const statuses = (response(out)['output'] as Json[]).map((item) => item['status']);
  assert.deepEqual(statuses, ['completed', 'incomplete']);
});

test('a failure before content says that nothing was delivered', () => {
  const { encoder, out } = start();
  encoder.fail(
    new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream: 'east', reason: 'ECONNRESET' }),
  );
  assert.equal(script(out), 'created in_progress failed');
  assert.deepEqual(flagged(out, FrameFlag.terminal), [2]);
  assert.equal(encoder.committed, false);
  const failed = response(out);
  assert.equal(failed['status'], 'failed');
  assert.deepEqual(failed['error'], {
    code: 'upstream_reset',
    message: 'upstream east closed the connection: ECONNRESET',
  });
  assert.deepEqual(failed['output'], []);
  assert.deepEqual(failed['x_millrace'], {
    code: 'MILLRACE_UPSTREAM_RESET',
    retry: 'elsewhere',
    upstream: 'east',
    attempts: 0,
    delivered: { deltas: 0, bytes: 0 },
  });
});

test('a failure after content says how much was delivered, and holds it', () => {
  const { encoder, out } = start();
  delta(encoder, Delta.text, 'abc');
  delta(encoder, Delta.text, 'de\n');
  encoder.usage({ inputTokens: 1, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 });
  encoder.fail(new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'east' }));
  assert.equal(out.last.json['type'], 'response.failed');
  const failed = response(out);
  assert.deepEqual((failed['x_millrace'] as Json)['delivered'], { deltas: 2, bytes: 7 });
  const [item] = failed['output'] as Json[];
  assert.equal(item['status'], 'incomplete');
  assert.equal((item['content'] as Json[])[0]['text'], 'abcde\n');
  assert.equal((failed['usage'] as Json)['total_tokens'], 3);
});

test('a cancelled response is incomplete, keeps what came, and says why', () => {
  for (const end of ['cancel', 'fail'] as const) {
    const { encoder, out } = start();
    delta(encoder, Delta.text, 'abc');
    if (end === 'cancel') encoder.cancel();
    else encoder.fail(new MillraceError('MILLRACE_CANCELLED', {}));
    assert.equal(out.last.json['type'], 'response.incomplete');
    assert.deepEqual(response(out)['incomplete_details'], { reason: 'cancelled' });
    assert.equal(response(out)['error'], null);
  }
});

test('nothing follows the terminal event, whatever comes', () => {
  const { encoder, out } = start();
  encoder.finish('stop');
  const { length } = out.frames;
  delta(encoder, Delta.text, 'late');
  encoder.tool(0, 'a', 'f');
  encoder.flush();
  encoder.cancel();
  encoder.finish('length');
  encoder.fail(new MillraceError('MILLRACE_CLOSED', {}));
  assert.equal(out.frames.length, length);
});

test('every event of a named lane says the lane, none of the default lane does', () => {
  for (const lane of ['a', undefined]) {
    const { encoder, out } = start(lane === undefined ? {} : { stream_id: lane });
    delta(encoder, Delta.reasoning, 'hm');
    delta(encoder, Delta.text, 'yes');
    delta(encoder, Delta.refusal, 'no');
    encoder.tool(0, 'a', 'f');
    delta(encoder, Delta.arguments, '{}');
    encoder.finish('stop');
    for (const frame of out.frames) assert.equal(frame.json['stream_id'], lane, frame.text);
  }
});

test('the epitaph is valid JSON with any sequence number in its gap', () => {
  const { encoder, turn } = start({ stream_id: 'lane.1', metadata: { q: '"\\' } });
  const { bytes, at } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  for (const sequence of [0, 9, 10, 12_345, 4_294_967_295]) {
    const text = Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(String(sequence)),
      bytes.subarray(at),
    ]).toString();
    const event = JSON.parse(text) as Json;
    assert.equal(event['type'], 'response.failed');
    assert.equal(event['sequence_number'], sequence);
    assert.equal(event['stream_id'], 'lane.1');
    const failed = event['response'] as Json;
    assert.equal(failed['id'], turn.responseId);
    assert.equal((failed['error'] as Json)['code'], 'worker_lost');
    assert.equal((failed['x_millrace'] as Json)['delivered'], null);
  }
});

test('whoever saw no opener gets an error with the lane instead of the epitaph', () => {
  const { encoder } = start({ stream_id: 'lane.1' });
  const { unopened } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  const event = JSON.parse(Buffer.from(unopened ?? []).toString()) as Json;
  assert.equal(event['type'], 'error');
  assert.equal(event['stream_id'], 'lane.1');
  assert.equal((event['error'] as Json)['code'], 'worker_lost');
});

test('an epitaph survives the frames that are encoded after it', () => {
  const { encoder } = start();
  const { bytes } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  const before = Buffer.from(bytes).toString();
  for (let count = 0; count < 50; count++) delta(encoder, Delta.text, 'x'.repeat(1000));
  encoder.finish('stop');
  assert.equal(Buffer.from(bytes).toString(), before);
});

test('an answer may be exactly as large as its bound, and fails one byte later', () => {
  for (const [bytes, type] of [
    [1024, 'response.completed'],
    [1025, 'response.failed'],
  ] as const) {
    const { encoder, out } = start({}, { outputBytesMax: 1024 });
    delta(encoder, Delta.text, 'a'.repeat(1000));
    delta(encoder, Delta.text, 'b'.repeat(bytes - 1000));
    encoder.finish('stop');
    assert.equal(out.last.json['type'], type);
    if (type === 'response.completed') continue;
    const failure = response(out)['x_millrace'] as Json;
    assert.equal(failure['code'], 'MILLRACE_OUTPUT_TOO_LARGE');
    assert.deepEqual(failure['delivered'], { deltas: 1, bytes: 1000 });
  }
});

test('an upstream that alternates for ever fails at the bound of parts', () => {
  const { encoder, out } = start();
  for (let count = 0; count < 5_000; count++)
    delta(encoder, count % 2 ? Delta.text : Delta.refusal, 'x');
  assert.equal(out.last.json['type'], 'response.failed');
  assert.equal((response(out)['x_millrace'] as Json)['code'], 'MILLRACE_OUTPUT_TOO_LARGE');
});

test('the same message makes the same bytes again, openers and all', () => {
  const runs = [1, 2].map(() => {
    const { encoder, out } = start({ stream_id: 'a', metadata: { k: 'v' } });
    delta(encoder, Delta.reasoning, 'hm');
    delta(encoder, Delta.text, 'yes');
    encoder.tool(0, '', 'f');
    encoder.finish('stop');
    return out.frames.map((frame) => frame.text);
  });
  assert.deepEqual(runs[0], runs[1]);
});

test('long text of any alphabet is whole wherever it is repeated', () => {
  const { encoder, out } = start({ metadata: { note: '€ä🙂'.repeat(4_000) } });
  const piece = 'Zeile "€"\n';
  for (let count = 0; count < 500; count++) delta(encoder, Delta.text, piece);
  delta(encoder, Delta.text, '🙂'.repeat(5_000));
  encoder.finish('stop');
  const whole = piece.repeat(500) + '🙂'.repeat(5_000);
  assert.equal((response(out)['metadata'] as Json)['note'], '€ä🙂'.repeat(4_000));
  const [item] = response(out)['output'] as Json[];
  assert.equal((item['content'] as Json[])[0]['text'], whole);
  assert.equal(out.frames.find((frame) => frame.json['text'] !== undefined)?.json['text'], whole);
});

test('a huge request is not repeated in its response object', () => {
  const { out } = start({ instructions: 'x'.repeat(100_000), metadata: { a: 'b' } });
  const object = out.frames[0].json['response'] as Json;
  assert.equal(object['instructions'], null);
  assert.deepEqual(object['tools'], []);
  assert.ok(out.frames[0].text.length < 2_000);
});

test('the table of server events is what the dialect says, type by type and field by field', () => {
  const said = new Map<string, string>();
  const hear = (events: readonly Json[]) => {
    for (const event of events) {
      const { type, stream_id, ...fields } = event;
      assert.equal(stream_id, 'a');
      said.set(String(type), Object.keys(fields).sort().join());
    }
  };
  for (const end of ['stop', 'length', 'fail'] as const) {
    const { encoder, out } = start({ stream_id: 'a' });
    for (const kind of [Delta.text, Delta.refusal, Delta.reasoning]) delta(encoder, kind, 'x');
    encoder.tool(0, 'a', 'f');
    delta(encoder, Delta.arguments, '{}');
    if (end === 'fail') encoder.fail(new MillraceError('MILLRACE_CLOSED', {}));
    else encoder.finish(end);
    hear(out.frames.map((frame) => frame.json));
  }
  const talk = new Dialogue(dialects.responses);
  hear([talk.refusal({ ...ask, stream_id: 'a', model: '?' })]);
  const steer = talk.refusal({ type: 'response.steer', previous_response_id: 'r' });
  const inject = talk.refusal({ type: 'response.inject', response_id: 'r' });
  for (const event of [steer, inject]) hear([{ ...event, stream_id: 'a' }]);
  hear([talk.refusal({ type: 'session.update', stream_id: 'a' })]);
  const table = responsesServerEvents.map(({ type, fields }) => [type, [...fields].sort().join()]);
  assert.deepEqual(Object.fromEntries(said), Object.fromEntries(table));
});
