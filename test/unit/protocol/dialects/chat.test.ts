/** The guide's chat: what its client sends and sees, what the session remembers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { dialects } from '../../../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../../../src/protocol/events.ts';
import { Dialogue, delta, frameOf, type Json } from '../../../support/dialogue.ts';

const user = (text: string) => ({ role: 'user', content: [{ type: 'text', text }] });
const said = (text: string) => ({ role: 'assistant', content: [{ type: 'text', text }] });

function talkWith(bounds = {}, models?: string[]): Dialogue {
  return new Dialogue(dialects.chat, bounds, models);
}

function exchange(talk: Dialogue, message: string, answer: string): void {
  const { encoder } = talk.run({ message });
  if (answer !== '') delta(encoder, Delta.text, answer);
  encoder.finish('stop');
}

test('a message is answered piece by piece, and the last frame is done', () => {
  const { encoder, out, request, turn } = talkWith().run({ message: 'hello' });
  assert.deepEqual(request, { model: 'm', messages: [user('hello')] });
  assert.equal(out.frames.length, 0);
  delta(encoder, Delta.text, 'Grüße "1"');
  delta(encoder, Delta.text, '\n🙂');
  encoder.usage({ inputTokens: 1, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 });
  encoder.finish('stop');
  assert.deepEqual(
    out.frames.slice(0, 2).map((frame) => frame.text),
    ['{"content":"Grüße \\"1\\"","done":false}', '{"content":"\\n🙂","done":false}'],
  );
  assert.deepEqual(out.last.json, {
    content: '',
    done: true,
    finish_reason: 'stop',
    id: turn.responseId,
    model: 'm',
    usage: { input_tokens: 1, cached_tokens: 0, output_tokens: 2, reasoning_tokens: 0 },
  });
});

test('what the guide does not know comes beside an empty content', () => {
  const { encoder, out } = talkWith().run({ message: 'x' });
  delta(encoder, Delta.reasoning, 'hm');
  encoder.tool(0, 'a', 'f');
  delta(encoder, Delta.arguments, '{', 0);
  delta(encoder, Delta.arguments, '}', 1);
  delta(encoder, Delta.refusal, 'no');
  assert.deepEqual(
    out.frames.map((frame) => frame.json),
    [
      { content: '', reasoning: 'hm', done: false },
      { content: '', tool: { index: 0, id: 'a', name: 'f' }, done: false },
      { content: '', tool: { index: 0, arguments: '{' }, done: false },
      { content: '', tool: { index: 1, arguments: '}' }, done: false },
      { content: 'no', refusal: true, done: false },
    ],
  );
});

test('a failure is the last frame and says how much came', () => {
  const { encoder, out, turn } = talkWith().run({ message: 'x' });
  delta(encoder, Delta.text, 'abc');
  encoder.fail(new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'east' }));
  assert.deepEqual(out.last.json, {
    content: '',
    error: {
      code: 'MILLRACE_UPSTREAM_TRUNCATED',
      message: 'upstream east ended its stream before it was complete',
      retry: 'elsewhere',
      delivered: { deltas: 1, bytes: 3 },
    },
    done: true,
    id: turn.responseId,
  });
});

test('a cancelled answer ends with that word, and is remembered as far as it came', () => {
  const talk = talkWith();
  const { encoder, out } = talk.run({ message: 'one' });
  delta(encoder, Delta.text, 'half');
  encoder.cancel();
  encoder.finish('stop');
  assert.equal(out.frames.length, 2);
  assert.equal(out.last.json['finish_reason'], 'cancelled');
  const { request } = talk.run({ message: 'two' });
  assert.deepEqual(request.messages, [user('one'), said('half'), user('two')]);
});

test('the session remembers its exchanges, but no failed or empty one', () => {
  const talk = talkWith();
  exchange(talk, 'one', 'eins');
  exchange(talk, 'nothing', '');
  const { encoder } = talk.run({ message: 'two' });
  delta(encoder, Delta.text, 'zw');
  encoder.fail(new MillraceError('MILLRACE_CLOSED', {}));
  exchange(talk, 'three', 'drei');
  const { request } = talk.run({ message: 'four' });
  assert.deepEqual(request.messages, [
    user('one'),
    said('eins'),
    user('three'),
    said('drei'),
    user('four'),
  ]);
});

test('the oldest exchanges go first, at the exact bound', () => {
  const probe = talkWith();
  exchange(probe, 'aaaa', 'bbbb');
  const one = probe.conversation.heldBytes;
  for (const [historyBytesMax, kept] of [
    [0, 0],
    [one - 1, 0],
    [one, 1],
    [2 * one - 1, 1],
    [2 * one, 2],
    [9 * one, 3],
  ]) {
    const talk = talkWith({ historyBytesMax });
    for (const text of ['1111', '2222', '3333']) exchange(talk, text, 'bbbb');
    assert.equal(talk.conversation.heldBytes, kept * one);
    const { messages } = talk.run({ message: 'x' }).request;
    const left = ['1111', '2222', '3333'].slice(3 - kept);
    const exchanges = left.flatMap((text) => [user(text), said('bbbb')]);
    assert.deepEqual(messages, [...exchanges, user('x')]);
  }
});

test('what the model thought is not part of what it said', () => {
  const talk = talkWith();
  const { encoder } = talk.run({ message: 'one' });
  delta(encoder, Delta.reasoning, 'hm');
  delta(encoder, Delta.text, 'eins');
  encoder.finish('stop');
  const { messages } = talk.run({ message: 'two' }).request;
  assert.deepEqual(messages, [user('one'), said('eins'), user('two')]);
});

test('an exchange above the whole bound takes the conversation with it', () => {
  const talk = talkWith({ historyBytesMax: 1_000 });
  exchange(talk, 'one', 'eins');
  assert.ok(talk.conversation.heldBytes > 0);
  exchange(talk, 'two', 'z'.repeat(2_000));
  assert.equal(talk.conversation.heldBytes, 0);
});

test('a client may name the model; without models there is none to name', () => {
  assert.equal(talkWith().turn({ message: 'x', model: 'n' }).model, 'n');
  const error = talkWith({}, []).refusal({ message: 'x' })['error'] as Json;
  assert.equal(error['code'], 'MILLRACE_MODEL_NOT_FOUND');
});

for (const [sent, code, text] of [
  ['', 'MILLRACE_JSON_INVALID', 'it is empty'],
  ['hello', 'MILLRACE_JSON_INVALID', 'not valid JSON'],
  ['[]', 'MILLRACE_FIELD_INVALID', 'must be an object'],
  [{}, 'MILLRACE_FIELD_INVALID', 'message must be a non-empty string, got nothing'],
  [{ message: '' }, 'MILLRACE_FIELD_INVALID', 'got ""'],
  [{ message: ['x'] }, 'MILLRACE_FIELD_INVALID', 'got an array'],
  [{ message: 'x', model: 1 }, 'MILLRACE_FIELD_INVALID', 'model must be a string, got 1'],
  [{ message: 'x', model: 'gpt' }, 'MILLRACE_MODEL_NOT_FOUND', 'Available: m, n'],
  [{ message: 'x', cancel: 1 }, 'MILLRACE_FIELD_INVALID', 'cancel must be true or false'],
  [{ cancel: true }, 'MILLRACE_RESPONSE_NOT_FOUND', 'no running response'],
  ['{"__proto__":{"message":"x"}}', 'MILLRACE_FIELD_INVALID', 'message must be'],
] as const) {
  test(`${JSON.stringify(sent)} is refused with ${code}`, () => {
    const refusal = talkWith().refusal(sent);
    const error = refusal['error'] as Json;
    assert.equal(refusal['done'], true);
    assert.equal(error['code'], code);
    assert.ok(String(error['message']).includes(text), String(error['message']));
  });
}

test('a binary message ends the session with 1003', () => {
  const talk = talkWith();
  const command = talk.conversation.decode({ ...talk.message({ message: 'x' }), binary: true });
  assert.equal(command.kind === 'close' && command.code, 1003);
});

test('the epitaph is a whole frame without a number', () => {
  const { encoder, turn } = talkWith().run({ message: 'x' });
  const { bytes, at } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  assert.ok(at < 0);
  const { json } = frameOf(bytes);
  assert.equal(json['done'], true);
  assert.equal(json['id'], turn.responseId);
  assert.equal((json['error'] as Json)['code'], 'MILLRACE_WORKER_LOST');
});

test('an answer may be exactly as large as its bound, and fails one byte later', () => {
  for (const extra of [0, 1]) {
    const { encoder, out } = talkWith({ outputBytesMax: 8 }).run({ message: 'x' });
    delta(encoder, Delta.text, '12345678'.slice(0, 7));
    delta(encoder, Delta.text, 'x'.repeat(1 + extra));
    encoder.finish('stop');
    const error = out.last.json['error'] as Json | undefined;
    assert.equal(error?.['code'], extra ? 'MILLRACE_OUTPUT_TOO_LARGE' : undefined);
  }
});
