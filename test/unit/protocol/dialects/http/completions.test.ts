/** Chat completions over HTTP: what comes back, and how it fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../../../src/errors.ts';
import { FrameFlag } from '../../../../../src/protocol/dialect.ts';
import { dialects } from '../../../../../src/protocol/dialects/dialects.ts';
import { Delta } from '../../../../../src/protocol/events.ts';
import { delta, type Json } from '../../../../support/dialogue.ts';
import { run } from '../../../../support/posted-dialogue.ts';

const { completions } = dialects;
const messages = [{ role: 'user', content: 'hello' }];
const usage = { inputTokens: 4, cachedTokens: 1, outputTokens: 2, reasoningTokens: 1 };
const lost = () => new MillraceError('MILLRACE_UPSTREAM_TRUNCATED', { upstream: 'east' });

test('a stream: nothing before the first content; then status, role, content, reason, [DONE]', () => {
  const { encoder, out, id } = run(completions, {
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  encoder.from('east');
  encoder.usage(usage);
  encoder.flush();
  assert.equal(out.pieces.length, 0);
  assert.equal(encoder.committed, false);
  delta(encoder, Delta.reasoning, 'hm');
  assert.ok(encoder.committed);
  delta(encoder, Delta.text, 'größer "\n');
  delta(encoder, Delta.text, '🙂');
  delta(encoder, Delta.refusal, 'no');
  encoder.finish('length');
  encoder.finish('stop');
  assert.deepEqual(
    [out.head?.status, out.head?.headers['content-type'], out.head?.headers['x-request-id']],
    [200, 'text/event-stream; charset=utf-8', id],
  );
  const choices = out.chunks.map((chunk) => (chunk['choices'] as Json[])[0]);
  assert.deepEqual(
    choices.map((choice) => choice?.['delta']),
    [
      { role: 'assistant', content: '' },
      { reasoning_content: 'hm' },
      { content: 'größer "\n' },
      { content: '🙂' },
      { refusal: 'no' },
      {},
      undefined,
    ],
  );
  assert.deepEqual(choices.at(-2), {
    index: 0,
    delta: {},
    logprobs: null,
    finish_reason: 'length',
  });
  const [last, usageChunk] = out.chunks.slice(-2);
  assert.deepEqual(last['x_millrace'], { upstream: 'east' });
  assert.deepEqual(usageChunk['usage'], {
    prompt_tokens: 4,
    completion_tokens: 2,
    total_tokens: 6,
    prompt_tokens_details: { cached_tokens: 1 },
    completion_tokens_details: { reasoning_tokens: 1 },
  });
  assert.ok(out.chunks.slice(0, -1).every((chunk) => chunk['usage'] === null));
  assert.ok(out.chunks.every((chunk) => chunk['id'] === id && chunk['created'] === 1_700_000_000));
  assert.equal(out.data.at(-1), '[DONE]');
  assert.deepEqual(
    out.pieces.map(({ flags }) => flags),
    [FrameFlag.opener, FrameFlag.commit, 0, 0, 0, FrameFlag.terminal],
  );
  assert.deepEqual(
    out.pieces.map(({ sequence }) => sequence),
    [0, 1, 2, 3, 4, 5],
  );
});

test('calls come in the order of their beginning, with an id each, and may interleave', () => {
  for (const stream of [true, false]) {
    const { encoder, out } = run(completions, { messages, stream });
    encoder.tool(3, 'a', 'f');
    encoder.tool(8, '', 'g');
    encoder.tool(3, 'again', 'f');
    delta(encoder, Delta.arguments, '{"x":', 3);
    delta(encoder, Delta.arguments, '{}', 8);
    delta(encoder, Delta.arguments, '"ä"}', 3);
    encoder.finish('tool_calls');
    const calls = new Map<number, { id: string; name: string; arguments: string }>();
    const of = (chunk: Json) =>
      ((chunk['choices'] as Json[])[0][stream ? 'delta' : 'message'] as Json)['tool_calls'];
    const parts = (stream ? out.chunks : [out.json]).flatMap(
      (chunk) => (of(chunk) as Json[]) ?? [],
    );
    parts.forEach((part, at) => {
      const index = stream ? Number(part['index']) : at;
      const { name, arguments: text } = part['function'] as { name?: string; arguments: string };
      const call = calls.get(index) ?? {
        id: String(part['id']),
        name: String(name),
        arguments: '',
      };
      calls.set(index, { ...call, arguments: call.arguments + text });
    });
    assert.deepEqual(calls.get(0), { id: 'a', name: 'f', arguments: '{"x":"ä"}' });
    assert.equal(calls.get(1)?.name, 'g');
    assert.match(calls.get(1)?.id ?? '', /^call_.+_1$/);
    assert.equal(calls.get(1)?.arguments, '{}');
    assert.equal(calls.size, 2);
  }
});

test('a whole completion is one object, and nothing goes out before it is whole', () => {
  const { encoder, out, id } = run(completions, { messages });
  delta(encoder, Delta.reasoning, 'hm');
  delta(encoder, Delta.text, 'größer "');
  delta(encoder, Delta.text, '\n🙂');
  encoder.usage(usage);
  assert.equal(out.pieces.length, 0);
  assert.ok(encoder.committed);
  encoder.finish('stop');
  assert.equal(out.pieces[0].flags, FrameFlag.commit | FrameFlag.terminal);
  assert.equal(out.head?.headers['content-type'], 'application/json');
  const { choices, ...rest } = out.json;
  assert.deepEqual(choices, [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'größer "\n🙂',
        refusal: null,
        reasoning_content: 'hm',
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ]);
  assert.deepEqual([rest['id'], rest['object'], rest['model']], [id, 'chat.completion', 'm']);
});

test('a failure before any content is a status, after it an error without [DONE]', () => {
  for (const stream of [true, false]) {
    const early = run(completions, { messages, stream });
    early.encoder.fail(lost());
    assert.equal(early.out.head?.status, 502);
    assert.equal((early.out.json['error'] as Json)['code'], 'upstream_truncated');
    assert.equal(early.out.pieces[0].flags, FrameFlag.terminal);
    early.encoder.finish('stop');
    assert.equal(early.out.pieces.length, 1);
  }
  const { encoder, out } = run(completions, { messages, stream: true });
  delta(encoder, Delta.text, 'abc');
  encoder.fail(lost());
  encoder.finish('stop');
  const failed = JSON.parse(out.data.at(-1) ?? '') as { error: Json; x_millrace: Json };
  assert.equal(failed.error['code'], 'upstream_truncated');
  assert.deepEqual(failed.x_millrace['delivered'], { deltas: 1, bytes: 3 });
  const whole = run(completions, { messages });
  delta(whole.encoder, Delta.text, 'abc');
  whole.encoder.fail(lost());
  assert.equal(whole.out.head?.status, 502);
});

test('what a retry needs to know stands in headers', () => {
  const headersOf = (error: MillraceError) => {
    const { encoder, out } = run(completions, { messages });
    encoder.fail(error);
    return out.head?.headers;
  };
  const json = { 'content-type': 'application/json' };
  const limited = new MillraceError('MILLRACE_RATE_LIMITED', { waitMs: 2_300 });
  assert.deepEqual(headersOf(limited), { ...json, 'retry-after': '3' });
  const none = new MillraceError('MILLRACE_UPSTREAM_NONE', { model: 'm' });
  assert.deepEqual(headersOf(none), { ...json, 'retry-after': '1' });
  const large = new MillraceError('MILLRACE_OUTPUT_TOO_LARGE', { max: 1 });
  assert.deepEqual(headersOf(large), { ...json, 'x-should-retry': 'false' });
  assert.deepEqual(headersOf(lost()), json);
});

test('a silence before the first content opens the stream, a later one is a comment that counts for nothing', () => {
  const { encoder, out } = run(completions, { messages, stream: true });
  encoder.alive?.();
  assert.equal(out.head?.status, 200);
  encoder.alive?.();
  delta(encoder, Delta.text, 'x');
  encoder.alive?.();
  assert.deepEqual(
    out.pieces.map(({ text, sequence }) => [text.startsWith(': ping\n\n'), sequence]),
    [
      [false, 0],
      [true, 0],
      [false, 1],
      [true, 1],
    ],
  );
  encoder.fail(lost());
  assert.match(out.data.at(-1) ?? '', /upstream_truncated/);
});

test('an answer above its bound fails', () => {
  for (const stream of [true, false]) {
    const { encoder, out } = run(completions, { messages, stream }, { outputBytesMax: 10 });
    delta(encoder, Delta.text, 'x'.repeat(10));
    delta(encoder, Delta.text, '§');
    assert.match(out.text, /output_too_large/);
    assert.equal(out.text.includes('§'), false);
  }
});

test('the epitaph of a stream is an error event', () => {
  const { encoder } = run(completions, { messages, stream: true });
  const { bytes, at } = encoder.epitaph(new MillraceError('MILLRACE_WORKER_LOST', {}));
  assert.equal(at, -1);
  assert.match(Buffer.from(bytes).toString(), /^data: \{"error":\{.*"worker_lost".*\}\n\n$/);
});
