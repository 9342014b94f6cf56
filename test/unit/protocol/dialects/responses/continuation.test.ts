/** What a response can be continued from, on which lane, for how long, and what remembering costs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import type { DialectBounds } from '../../../../../src/protocol/dialect.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../../../../src/protocol/events.ts';
import { Dialogue, delta, type Json } from '../../../../support/dialogue.ts';

const ask = { type: 'response.create', model: 'm', input: 'hello' };
const user = (text: string) => ({ role: 'user', content: [{ type: 'text', text }] });
const said = (text: string) => ({ role: 'assistant', content: [{ type: 'text', text }] });
const broken = new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'east' });

function talkWith(bounds: Partial<DialectBounds> = {}): Dialogue {
  return new Dialogue(dialects.responses, bounds);
}

/** One whole turn; its id. */
function turn(talk: Dialogue, fields: object, answer = 'yes'): string {
  const { encoder, turn } = talk.run({ ...ask, ...fields });
  if (answer !== '') delta(encoder, Delta.text, answer);
  encoder.finish('stop');
  return turn.responseId;
}

function messagesOf(talk: Dialogue, fields: object): unknown {
  return talk.run({ ...ask, ...fields }).request.messages;
}

function codeOf(talk: Dialogue, fields: object): unknown {
  const error = talk.answer({ ...ask, ...fields }).at(-1)?.['error'] as Json | undefined;
  return error?.['code'];
}

test('a continuation sends the whole conversation, without the old instructions', () => {
  const talk = talkWith();
  const first = turn(talk, { input: 'one', instructions: 'old' }, 'eins "1"\n');
  const second = turn(talk, { input: 'two', previous_response_id: first }, 'zwei');
  const next = { input: 'three', previous_response_id: second, instructions: 'new' };
  assert.deepEqual(messagesOf(talk, next), [
    { role: 'system', content: [{ type: 'text', text: 'new' }] },
    user('one'),
    said('eins "1"\n'),
    user('two'),
    said('zwei'),
    user('three'),
  ]);
});

test('a continuation may be without input', () => {
  const talk = talkWith();
  const first = turn(talk, {});
  const messages = messagesOf(talk, { input: undefined, previous_response_id: first });
  assert.deepEqual(messages, [user('hello'), said('yes')]);
});

test('the lane is free before the continuation is looked up', () => {
  const talk = talkWith();
  const running = talk.run(ask);
  const waiting = talk.turn({ ...ask, previous_response_id: running.turn.responseId });
  running.encoder.finish('stop');
  assert.equal(talk.conversation.begin(waiting, { frame() {} }).kind, 'run');
});

test('with store a lane remembers older responses, without only its latest', () => {
  for (const store of [true, false]) {
    const talk = talkWith();
    const first = turn(talk, { store });
    const second = turn(talk, { store, previous_response_id: first });
    const again = { ...ask, store, previous_response_id: first };
    if (store)
      assert.deepEqual(messagesOf(talk, again), [user('hello'), said('yes'), user('hello')]);
    else assert.equal(codeOf(talk, again), 'previous_response_not_found');
    turn(talk, { store, previous_response_id: second });
  }
});

test('a fork on another lane keeps its past when the source lane goes on', () => {
  const talk = talkWith();
  const first = turn(talk, { store: false, input: 'root' });
  const fork = turn(talk, { store: false, stream_id: 'x', previous_response_id: first });
  turn(talk, { store: false });
  assert.equal(codeOf(talk, { previous_response_id: first }), 'previous_response_not_found');
  const messages = messagesOf(talk, { stream_id: 'x', previous_response_id: fork });
  assert.deepEqual(messages, [
    user('root'),
    said('yes'),
    user('hello'),
    said('yes'),
    user('hello'),
  ]);
});

test('each lane has a latest response of its own', () => {
  const talk = talkWith();
  const a = turn(talk, { store: false, stream_id: 'a' });
  const b = turn(talk, { store: false, stream_id: 'b' });
  turn(talk, { store: false });
  for (const id of [a, b]) assert.ok(messagesOf(talk, { previous_response_id: id }));
});

test('another session does not know the response', () => {
  const id = turn(talkWith(), {});
  assert.equal(codeOf(talkWith(), { previous_response_id: id }), 'previous_response_not_found');
});

test('a warm-up is answered without a model and can be continued', () => {
  const talk = talkWith();
  const events = talk.answer({ ...ask, input: 'warm', generate: false, stream_id: 'a' });
  assert.deepEqual(
    events.map((event) => event['type']),
    ['response.created', 'response.in_progress', 'response.completed'],
  );
  assert.deepEqual(
    events.map((event) => [event['sequence_number'], event['stream_id']]),
    [0, 1, 2].map((number) => [number, 'a']),
  );
  const object = events[2]['response'] as Json;
  assert.deepEqual(object['output'], []);
  assert.equal((object['usage'] as Json)['total_tokens'], 0);
  const messages = messagesOf(talk, { previous_response_id: object['id'] });
  assert.deepEqual(messages, [user('warm'), user('hello')]);
});

test('a warm-up may be without input', () => {
  const events = talkWith().answer({ type: 'response.create', model: 'm', generate: false });
  assert.equal(events.at(-1)?.['type'], 'response.completed');
});

test('calls are continued with their outputs', () => {
  const talk = talkWith();
  const { encoder, turn: asked } = talk.run({ ...ask, input: 'weather?' });
  delta(encoder, Delta.reasoning, 'thinking');
  delta(encoder, Delta.text, 'wait');
  encoder.tool(0, 'call_a', 'weather');
  encoder.tool(1, 'call_b', 'time');
  delta(encoder, Delta.arguments, '{"city":"Köln"}', 0);
  delta(encoder, Delta.arguments, '{}', 1);
  encoder.finish('tool_calls');
  const output = (call_id: string, output: string) => ({
    type: 'function_call_output',
    call_id,
    output,
  });
  const input = [output('call_a', 'rain'), output('call_b', '12:00')];
  assert.deepEqual(messagesOf(talk, { input, previous_response_id: asked.responseId }), [
    user('weather?'),
    {
      role: 'assistant',
      content: [{ type: 'text', text: 'wait' }],
      toolCalls: [
        { id: 'call_a', name: 'weather', arguments: '{"city":"Köln"}' },
        { id: 'call_b', name: 'time', arguments: '{}' },
      ],
    },
    { role: 'tool', callId: 'call_a', content: 'rain' },
    { role: 'tool', callId: 'call_b', content: '12:00' },
  ]);
});

test('an output without its call fails, and takes a response that is not stored with it', () => {
  const input = [{ type: 'function_call_output', call_id: 'nobody', output: 'x' }];
  for (const store of [true, false]) {
    const talk = talkWith();
    const first = turn(talk, { store });
    assert.equal(codeOf(talk, { store, input, previous_response_id: first }), 'invalid_value');
    const again = { ...ask, store, previous_response_id: first };
    if (store) assert.ok(messagesOf(talk, again));
    else assert.equal(codeOf(talk, again), 'previous_response_not_found');
    assert.equal(talk.conversation.heldBytes > 0, store);
  }
});

test('a failed continuation takes the response that it continued, a cancelled one does not', () => {
  for (const end of ['fail', 'cancel'] as const) {
    const talk = talkWith();
    const first = turn(talk, { store: false });
    const { encoder } = talk.run({
      ...ask,
      stream_id: 'x',
      store: false,
      previous_response_id: first,
    });
    if (end === 'fail') encoder.fail(broken);
    else encoder.cancel();
    const again = { store: false, previous_response_id: first };
    if (end === 'fail') assert.equal(codeOf(talk, again), 'previous_response_not_found');
    else assert.ok(messagesOf(talk, again));
  }
});

test('a failed turn is not remembered, an incomplete or cancelled one is, as far as it came', () => {
  const talk = talkWith();
  const failed = talk.run(ask);
  delta(failed.encoder, Delta.text, 'half');
  failed.encoder.fail(broken);
  const { responseId } = failed.turn;
  assert.equal(codeOf(talk, { previous_response_id: responseId }), 'previous_response_not_found');
  for (const end of ['length', 'cancel'] as const) {
    const { encoder, turn } = talk.run(ask);
    delta(encoder, Delta.text, 'half');
    encoder.tool(0, 'call_cut', 'f');
    delta(encoder, Delta.arguments, '{"cut', 0);
    if (end === 'cancel') encoder.cancel();
    else encoder.finish(end);
    const messages = messagesOf(talk, { previous_response_id: turn.responseId });
    assert.deepEqual(messages, [user('hello'), said('half'), user('hello')]);
  }
});

test('nothing is remembered at a bound of 0, all of it at the exact bound, nothing one byte below', () => {
  const probe = talkWith();
  turn(probe, {});
  const one = probe.conversation.heldBytes;
  assert.ok(one > 'helloyes'.length);
  for (const [historyBytesMax, held] of [
    [0, 0],
    [one - 1, 0],
    [one, one],
    [one + 1, one],
    [2 * one - 1, one],
    [2 * one, 2 * one],
  ]) {
    const talk = talkWith({ historyBytesMax });
    turn(talk, {});
    turn(talk, {});
    assert.equal(talk.conversation.heldBytes, held, `bound ${historyBytesMax}`);
  }
});

test('the oldest response goes first, and a conversation above the bound is forgotten alone', () => {
  const probe = talkWith();
  turn(probe, {});
  const one = probe.conversation.heldBytes;
  const talk = talkWith({ historyBytesMax: 2 * one });
  const [a, b, c] = [turn(talk, {}), turn(talk, {}), turn(talk, {})];
  assert.equal(codeOf(talk, { previous_response_id: a }), 'previous_response_not_found');
  for (const id of [b, c]) assert.ok(messagesOf(talk, { previous_response_id: id }));
  const d = turn(talk, { previous_response_id: c });
  assert.equal(codeOf(talk, { previous_response_id: b }), 'previous_response_not_found');
  const e = turn(talk, { previous_response_id: d });
  assert.equal(codeOf(talk, { previous_response_id: e }), 'previous_response_not_found');
  assert.ok(messagesOf(talk, { previous_response_id: d }));
  assert.equal(talk.conversation.heldBytes, 2 * one);
});

test('a shared past counts once for the session and once for each lane that reaches it', () => {
  const talk = talkWith();
  const root = turn(talk, { store: false });
  const one = talk.conversation.heldBytes;
  for (const lane of ['a', 'b', 'c'])
    turn(talk, { store: false, stream_id: lane, previous_response_id: root });
  assert.equal(talk.conversation.heldBytes, 4 * one);
  turn(talk, { store: false });
  assert.equal(talk.conversation.heldBytes, 5 * one);
  for (const lane of ['a', 'b', 'c']) turn(talk, { store: false, stream_id: lane });
  assert.equal(talk.conversation.heldBytes, 4 * one);
});
