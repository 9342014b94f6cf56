/** Goal: every end of a body is the right one, once; so is a body that is no stream. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import {
  args,
  bytesOf,
  chunkOf,
  decode,
  eventsOf,
  run,
  stop,
  text,
} from '../../../support/decode.ts';

const reset = new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream: 'lab', reason: 'cut' });

describe('the end of a stream', () => {
  const said = eventsOf(chunkOf({ content: 'a' }));
  const done = eventsOf(chunkOf({ content: 'a' }), stop);
  const usage = eventsOf({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } });
  const cases: Record<string, [string, MillraceError | undefined, string]> = {
    'a finish reason and the marker': [`${done}data: [DONE]\n\n`, undefined, 'stop'],
    'a finish reason and a marker without its blank line': [
      `${done}data: [DONE]\n`,
      undefined,
      'stop',
    ],
    'a finish reason and a marker without its line end': [`${done}data: [DONE]`, undefined, 'stop'],
    'a finish reason and no marker': [done, undefined, 'stop'],
    'a finish reason, then a broken connection': [done, reset, 'stop'],
    'a finish reason without its blank line, then a broken connection': [
      done.trimEnd(),
      reset,
      'stop',
    ],
    'a finish reason, usage, and half an event': [`${done}${usage}data: {"cho`, reset, 'stop'],
    'a finish reason, then nonsense': [`${done}data: {{{\n\n`, undefined, 'stop'],
    'a finish reason, then an error': [
      `${done}data: {"error":{"message":"x"}}\n\n`,
      undefined,
      'stop',
    ],
    'a finish reason, then an event that is too large': [
      `${done}data: ${'x'.repeat(8192)}`,
      undefined,
      'stop',
    ],
    'a finish reason and no content at all': [eventsOf(stop, '[DONE]'), undefined, 'stop'],
    'nothing at all': ['', undefined, 'MILLRACE_UPSTREAM_TRUNCATED'],
    'nothing but blanks': ['\n\n \r\n', undefined, 'MILLRACE_UPSTREAM_TRUNCATED'],
    'comments only': [': hi\n\n: hi\n\n', undefined, 'MILLRACE_UPSTREAM_TRUNCATED'],
    'the marker only': ['data: [DONE]\n\n', undefined, 'MILLRACE_UPSTREAM_TRUNCATED'],
    'content and no finish reason': [said, undefined, 'MILLRACE_UPSTREAM_TRUNCATED'],
    'content, no finish reason, and the marker': [
      `${said}data: [DONE]\n\n`,
      undefined,
      'MILLRACE_UPSTREAM_TRUNCATED',
    ],
    'content, then a broken connection': [said, reset, 'MILLRACE_UPSTREAM_RESET'],
    'half an event, then a clean end': [
      `${said}data: {"choices":[{"index":0,"fini`,
      undefined,
      'MILLRACE_UPSTREAM_TRUNCATED',
    ],
    'half an event, then a broken connection': [
      `${said}data: {"choices":[{"index":0,"fini`,
      reset,
      'MILLRACE_UPSTREAM_RESET',
    ],
    'half a code point at the end': [
      `${said}data: {"x":"`,
      undefined,
      'MILLRACE_UPSTREAM_TRUNCATED',
    ],
    'an event that is not JSON': [`${said}data: {{{\n\n`, undefined, 'MILLRACE_UPSTREAM_MALFORMED'],
    'an event that is no object': [`${said}data: 7\n\n`, undefined, 'MILLRACE_UPSTREAM_MALFORMED'],
    'a page of HTML': [
      '<html>\n<body>busy</body></html>',
      undefined,
      'MILLRACE_UPSTREAM_MALFORMED',
    ],
    'an answer of another protocol': [
      'event: message_start\ndata: {"type":"message_start"}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
      undefined,
      'MILLRACE_UPSTREAM_TRUNCATED',
    ],
  };
  for (const [name, [body, cause, end]] of Object.entries(cases))
    test(`${name}: ${end}`, () => {
      const { sink, decoder } = run(body, cause);
      assert.equal(sink.end, end);
      assert.equal(decoder.state, 'done');
      if (cause !== undefined && end === cause.code) assert.equal(sink.error, cause);
    });

  test('is open, then finished, then done; usage may come in between, nothing after it', () => {
    const { sink, decoder } = decode([bytesOf(said)], { open: true });
    assert.equal(decoder.state, 'open');
    decoder.push(bytesOf(eventsOf(stop)));
    assert.equal(decoder.state, 'finished');
    assert.equal(sink.end, undefined);
    decoder.push(bytesOf(usage));
    assert.equal(sink.lastUsage?.outputTokens, 2);
    assert.equal(decoder.state, 'finished');
    decoder.push(bytesOf(`data: [DONE]\n\n${said}`));
    assert.equal(decoder.state, 'done');
    decoder.push(bytesOf(said));
    decoder.push(new Uint8Array(0));
    decoder.close();
    decoder.close(reset);
    assert.deepEqual(sink.trace.steps, [text('a')]);
    assert.equal(sink.end, 'stop');
  });

  test('comes once although close is called again', () => {
    const { sink, decoder } = decode([bytesOf(said)], { cause: reset });
    decoder.close();
    decoder.push(bytesOf(eventsOf(stop)));
    assert.equal(sink.end, 'MILLRACE_UPSTREAM_RESET');
  });

  test('every read ends in a flush, but the one that ends the stream, whose flush comes before the end', () => {
    const { sink, decoder } = decode([bytesOf(said)], { open: true });
    assert.equal(sink.flushes, 1);
    decoder.push(bytesOf('data: '));
    assert.equal(sink.flushes, 2);
    decoder.push(bytesOf('[DONE]\n\n'));
    assert.equal(sink.flushes, 3);
  });
});

describe('a finish reason', () => {
  const meaning: Record<string, string> = {
    stop: 'stop',
    length: 'length',
    max_tokens: 'length',
    tool_calls: 'tool_calls',
    function_call: 'tool_calls',
    content_filter: 'content_filter',
    eos: 'stop',
    'something new': 'stop',
  };
  for (const [word, end] of Object.entries(meaning))
    test(`${word} means ${end}`, () => {
      assert.equal(run(eventsOf(chunkOf({ content: 'a' }, word))).sink.end, end);
    });

  test('null or empty says nothing', () => {
    const empty = eventsOf(chunkOf({ content: 'a' }, ''), chunkOf({ content: 'b' }, null));
    assert.equal(run(empty).sink.end, 'MILLRACE_UPSTREAM_TRUNCATED');
  });

  test('counts when it comes first; content after it is still content', () => {
    const { sink } = run(
      eventsOf(chunkOf({}, 'length'), chunkOf({ content: 'late' }, 'stop'), '[DONE]'),
    );
    assert.deepEqual(sink.steps, [text('late')]);
    assert.equal(sink.end, 'length');
  });
});

describe('a body that is one JSON value', () => {
  const answer = (message: object, finish: string | null = 'stop') => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
    usage: { prompt_tokens: 3, completion_tokens: 2 },
  });

  test('is the whole answer, also pretty-printed and after blanks', () => {
    for (const body of [
      JSON.stringify(answer({ content: 'hello' })),
      `\r\n  ${JSON.stringify(answer({ content: 'hello' }), null, 2)}\n`,
      `\ufeff${JSON.stringify(answer({ content: 'hello' }))}`,
    ]) {
      const { sink } = run(body);
      assert.deepEqual(sink.steps, [text('hello')]);
      assert.equal(sink.lastUsage?.outputTokens, 2);
      assert.equal(sink.end, 'stop');
    }
  });

  test('may have 64 blanks before it; whatever comes later is an event stream', () => {
    const body = JSON.stringify(answer({ content: 'hello' }));
    assert.equal(run(' '.repeat(64) + body).sink.end, 'stop');
    assert.equal(run(' '.repeat(65) + body).sink.end, 'MILLRACE_UPSTREAM_TRUNCATED');
    const split = decode([bytesOf(' '.repeat(40)), bytesOf(' '.repeat(24) + body)]);
    assert.equal(split.sink.end, 'stop');
  });

  test('has tool calls without index', () => {
    const tool_calls = ['a', 'b'].map((id) => ({
      id,
      type: 'function',
      function: { name: 'f', arguments: '{}' },
    }));
    const { sink } = run(JSON.stringify(answer({ content: null, tool_calls }, 'tool_calls')));
    assert.deepEqual(sink.steps, [
      { tool: 0, id: 'a', name: 'f' },
      args('{}'),
      { tool: 1, id: 'b', name: 'f' },
      args('{}', 1),
    ]);
    assert.equal(sink.end, 'tool_calls');
  });

  const failures: Record<string, [string, string]> = {
    'an error': ['{"error":{"message":"model not found","code":404}}', 'MILLRACE_UPSTREAM_ERROR'],
    'an error in a list': [
      '[{"error":{"message":"bad","code":400}}]',
      'MILLRACE_UPSTREAM_REJECTED',
    ],
    'an answer without a finish reason': [
      JSON.stringify(answer({ content: 'a' }, null)),
      'MILLRACE_UPSTREAM_TRUNCATED',
    ],
    'anything else': ['{"detail":"hello"}', 'MILLRACE_UPSTREAM_MALFORMED'],
    'an empty object': ['{}', 'MILLRACE_UPSTREAM_MALFORMED'],
    'an empty list': ['[]', 'MILLRACE_UPSTREAM_MALFORMED'],
    'not quite JSON': ['{"choices":', 'MILLRACE_UPSTREAM_TRUNCATED'],
  };
  for (const [name, [body, code]] of Object.entries(failures))
    test(`${name}: ${code}`, () => assert.equal(run(body).sink.end, code));

  test('is read at the end only, and is complete although the connection broke then', () => {
    const body = bytesOf(JSON.stringify(answer({ content: 'hello' })));
    const { sink, decoder } = decode([body], { open: true });
    assert.equal(sink.steps.length, 0);
    decoder.close(reset);
    assert.equal(sink.end, 'stop');
  });

  test('has the size limit of an event', () => {
    const whole = bytesOf(JSON.stringify(answer({ content: 'x'.repeat(5_000) })));
    assert.equal(decode([whole], { eventBytesMax: whole.length }).sink.end, 'stop');
    const { sink } = decode([whole], { eventBytesMax: whole.length - 1 });
    assert.equal(sink.end, 'MILLRACE_UPSTREAM_TOO_LARGE');
  });
});

describe('the size limit of an event', () => {
  const line = (length: number) => {
    const bare = `data: ${JSON.stringify(chunkOf({ content: '' }))}`;
    return `data: ${JSON.stringify(chunkOf({ content: 'x'.repeat(length - bare.length) }))}\n\n`;
  };
  for (const learnt of [false, true]) {
    test(`holds exactly, ${learnt ? 'in a learnt shape' : 'in the first event'}`, () => {
      const before = learnt ? eventsOf(chunkOf({ content: 'a' }), chunkOf({ content: 'b' })) : '';
      for (const [length, end] of [
        [1024, 'stop'],
        [1025, 'MILLRACE_UPSTREAM_TOO_LARGE'],
      ] as const) {
        const body = bytesOf(`${before}${line(length)}${eventsOf(stop)}`);
        for (const pieces of [[body], Array.from(body, (byte) => Uint8Array.of(byte))])
          assert.equal(decode(pieces, { eventBytesMax: 1024 }).sink.end, end, String(length));
      }
    });
  }

  test('a line without an end is given up at the limit, not kept', () => {
    const sink = decode([bytesOf('data: ')], { eventBytesMax: 1024, open: true });
    for (let i = 0; i < 10; i++) sink.decoder.push(bytesOf('x'.repeat(200)));
    assert.equal(sink.decoder.state, 'done');
    assert.equal(sink.sink.end, 'MILLRACE_UPSTREAM_TOO_LARGE');
  });
});
