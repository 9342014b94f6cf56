/** The Responses API over HTTP: the events of the WebSocket mode as a stream, or their last one as an object. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import { FrameFlag } from '../../../../../src/protocol/dialect.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../../../../src/protocol/events.ts';
import { Dialogue, delta, type Json } from '../../../../support/dialogue.ts';
import { refusal, run } from '../../../../support/posted-dialogue.ts';

const http = dialects['responses-http'];
const lost = () => new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'east' });

function play(encoder: Parameters<typeof delta>[0]): void {
  encoder.from('east');
  delta(encoder, Delta.reasoning, 'hm');
  delta(encoder, Delta.text, 'größer "');
  delta(encoder, Delta.text, '\n🙂');
  encoder.tool(0, 'a', 'f');
  delta(encoder, Delta.arguments, '{"x":1}');
  encoder.usage({ inputTokens: 1, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 });
  encoder.finish('tool_calls');
}

/** Ids and the store's word are the only differences. */
function alike(events: readonly Json[]): unknown {
  const text = JSON.stringify(events).replace(/resp_[\w-]{31}/g, 'resp');
  return JSON.parse(text.replaceAll('"store":true', '"store":false'));
}

test('a stream says what the WebSocket would have said, each event with its name', () => {
  const posted = run(http, { input: 'hello', stream: true });
  assert.equal(posted.out.pieces.length, 0, 'nothing before the first content');
  play(posted.encoder);
  const socket = new Dialogue(dialects.responses).run({
    type: 'response.create',
    model: 'm',
    input: 'hello',
  });
  play(socket.encoder);
  assert.deepEqual(alike(posted.out.chunks), alike(socket.out.frames.map(({ json }) => json)));
  const names = [...posted.out.text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    names,
    posted.out.chunks.map((event) => event['type']),
  );
  assert.equal(posted.out.head?.headers['content-type'], 'text/event-stream; charset=utf-8');
  const { pieces } = posted.out;
  assert.deepEqual(
    pieces.map(({ sequence }) => sequence),
    [...pieces.keys()],
  );
  assert.equal(
    pieces.findIndex(({ flags }) => flags & FrameFlag.commit),
    2,
  );
  assert.equal(pieces.at(-1)?.flags, FrameFlag.terminal);
});

test('an object is the last event’s response', () => {
  const whole = run(http, { input: 'hello' });
  play(whole.encoder);
  const streamed = run(http, { input: 'hello', stream: true });
  play(streamed.encoder);
  assert.deepEqual(whole.out.json, streamed.out.chunks.at(-1)?.['response']);
  assert.equal(whole.out.pieces.length, 1);
  assert.equal(whole.out.pieces[0].flags, FrameFlag.commit | FrameFlag.terminal);
  assert.equal(whole.out.json['store'], false);
});

test('a cut answer is an incomplete object, an answer without content a completed one', () => {
  const cut = run(http, { input: 'x' });
  delta(cut.encoder, Delta.text, 'half');
  cut.encoder.finish('length');
  assert.equal(cut.out.head?.status, 200);
  assert.equal(cut.out.json['status'], 'incomplete');
  const empty = run(http, { input: 'x', stream: true });
  empty.encoder.finish('stop');
  assert.deepEqual(
    empty.out.chunks.map((event) => event['type']),
    ['response.created', 'response.in_progress', 'response.completed'],
  );
});

test('a failure before any content is a status, after it `response.failed`; of an object always a status', () => {
  for (const stream of [true, false]) {
    const early = run(http, { input: 'x', stream });
    early.encoder.fail(lost());
    assert.equal(early.out.head?.status, 502);
    assert.deepEqual((early.out.json['error'] as Json)['code'], 'upstream_truncated');
    assert.equal(early.out.pieces[0].flags, FrameFlag.terminal);
  }
  const late = run(http, { input: 'x', stream: true });
  delta(late.encoder, Delta.text, 'abc');
  late.encoder.fail(lost());
  assert.equal(late.out.chunks.at(-1)?.['type'], 'response.failed');
  const whole = run(http, { input: 'x' });
  delta(whole.encoder, Delta.text, 'abc');
  whole.encoder.fail(lost());
  assert.equal(whole.out.head?.status, 502);
  const large = run(http, { input: 'x' }, { outputBytesMax: 4 });
  delta(large.encoder, Delta.text, 'abcdef');
  assert.equal(large.out.head?.status, 502);
  assert.match(large.out.text, /output_too_large/);
  assert.equal(large.out.pieces.length, 1);
});

test('silence opens the stream, and the epitaph has a place for the next number', () => {
  const { encoder, out } = run(http, { input: 'x', stream: true });
  const { bytes, at } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  const text = Buffer.from(bytes).toString();
  const event = `${text.slice(0, at)}2${text.slice(at)}`;
  assert.match(
    event,
    /^event: response\.failed\ndata: \{"type":"response\.failed","sequence_number":2,/,
  );
  const failed = JSON.parse(/^data: (.*)\n\n$/m.exec(event)?.[1] ?? '') as { response: Json };
  assert.equal(failed.response['status'], 'failed');
  encoder.alive?.();
  assert.deepEqual(
    out.chunks.map((each) => each['type']),
    ['response.created', 'response.in_progress'],
  );
  encoder.alive?.();
  assert.deepEqual([out.pieces[2].text, out.pieces[2].sequence], [': ping\n\n', 1]);
});

test('what needs a connection that lasts is refused by name', () => {
  for (const [fields, param] of [
    [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
    [{ response: { model: 'm', input: 'x', previous_response_id: 'r' } }, 'previous_response_id'],
    [{ generate: false }, 'generate'],
    [{ stream_id: 'a' }, 'stream_id'],
    [{ background: true }, 'background'],
    [{ conversation: 'c' }, 'conversation'],
    [{ input: [{ type: 'item_reference', id: 'i' }] }, 'input[0].type'],
  ] as const) {
    const { head, error } = refusal(http, { model: 'm', input: 'x', ...fields });
    assert.deepEqual(
      [head.status, error['code'], error['param']],
      [400, 'unsupported_parameter', param],
    );
  }
  const call = { type: 'function_call_output', call_id: 'c', output: 'x' };
  assert.equal(refusal(http, { model: 'm', input: [call] }).error['param'], 'input');
});
