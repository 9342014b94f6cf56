/** Goal: what servers write beside the documented form is read for what it means, and every end is the right one, once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MillraceError } from '../../../../src/errors.ts';
import { Delta } from '../../../../src/protocol/events.ts';
import { bytesOf, chunkOf, type Decoded, decode, eventsOf } from '../../../support/decode.ts';
import type { Step } from '../../../support/trace.ts';

const reset = new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream: 'lab', reason: 'cut' });
const stop = chunkOf({}, 'stop');
const text = (text: string): Step => ({ text, kind: Delta.text, part: 0 });
const args = (text: string, part = 0): Step => ({ text, kind: Delta.arguments, part });

/** Whole, and byte by byte: both must say the same. */
function run(body: string, cause?: MillraceError): Decoded {
  const settings = { eventBytesMax: 8192, ...(cause === undefined ? {} : { cause }) };
  const whole = decode([bytesOf(body)], settings);
  const pieces = Array.from(bytesOf(body), (byte) => Uint8Array.of(byte));
  assert.deepEqual(decode(pieces, settings).sink.trace, whole.sink.trace);
  return whole;
}

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
      'MILLRACE_UPSTREAM_TRUNCATED',
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

describe('content', () => {
  const reasoning = (text: string): Step => ({ text, kind: Delta.reasoning, part: 0 });
  const cases: Record<string, [object[], Step[]]> = {
    'openers and empty deltas say nothing': [
      [
        { role: 'assistant', content: '' },
        { role: 'assistant', content: null },
        {},
        { content: 'a' },
      ],
      [text('a')],
    ],
    'reasoning under both names is said once': [
      [
        { reasoning_content: 'x', reasoning: 'x' },
        { reasoning: 'y' },
        { reasoning_content: 'z', reasoning: '' },
      ],
      [reasoning('xyz')],
    ],
    'reasoning comes before the text of its chunk': [
      [{ content: 'a', reasoning: 'r' }],
      [reasoning('r'), text('a')],
    ],
    'a refusal is one': [[{ refusal: 'no' }], [{ text: 'no', kind: Delta.refusal, part: 0 }]],
    'typed parts are read': [
      [
        {
          content: [
            { type: 'thinking', thinking: [{ type: 'text', text: 'r' }] },
            { type: 'text', text: 'a' },
          ],
        },
      ],
      [reasoning('r'), text('a')],
    ],
  };
  for (const [name, [deltas, steps]] of Object.entries(cases))
    test(name, () => {
      const { sink } = run(eventsOf(...deltas.map((delta) => chunkOf(delta)), stop));
      assert.deepEqual(sink.steps, steps);
      assert.equal(sink.end, 'stop');
    });

  test('notes without choices are passed over', () => {
    const body = eventsOf(
      { choices: [], prompt_filter_results: [] },
      { id: 'x', choices: null },
      { type: 'ping' },
      { choices: [{ index: 0, content_filter_results: {} }] },
      { choices: [{ index: 0, delta: null }] },
      chunkOf({ content: 'a' }, 'stop'),
    );
    assert.deepEqual(run(body).sink.trace, { steps: [text('a')], usage: undefined, end: 'stop' });
  });

  const wrong: Record<string, unknown> = {
    'choices that are no list': { choices: {} },
    'a choice that is no object': { choices: ['a'] },
    'several choices': {
      choices: [
        { index: 0, delta: {} },
        { index: 1, delta: {} },
      ],
    },
    'another choice': { choices: [{ index: 1, delta: { content: 'b' } }] },
    'content that is no text': chunkOf({ content: 7 }),
    'tool calls that are no list': chunkOf({ tool_calls: {} }),
    'a tool call that is no object': chunkOf({ tool_calls: ['x'] }),
    'arguments that are no text': chunkOf({
      tool_calls: [{ index: 0, function: { name: 'f', arguments: 7 } }],
    }),
  };
  for (const [name, value] of Object.entries(wrong))
    test(`${name}: refused`, () => {
      const { sink } = run(eventsOf(chunkOf({ content: 'a' }), value, stop));
      assert.equal(sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
      assert.deepEqual(sink.steps, [text('a')]);
    });

  test('bytes that are not UTF-8 are refused, in a learnt shape as well', () => {
    for (const before of [[], [chunkOf({ content: 'a' }), chunkOf({ content: 'b' })]]) {
      const body = Buffer.from(eventsOf(...before, chunkOf({ content: '~' }), stop), 'utf8');
      body[body.lastIndexOf('~')] = 0xe5;
      assert.equal(decode([body]).sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
    }
  });
});

describe('a surrogate pair', () => {
  const chunk = (body: string) => `data: {"choices":[{"index":0,"delta":{${body}}}]}\n\n`;
  const content = (escaped: string) => chunk(`"content":"${escaped}"`);
  const cases: Record<string, [string[], Step[]]> = {
    'escaped in one chunk is left as it is': [[content('\\ud83c\\udf0a')], [text('🌊')]],
    'split over two chunks is joined': [[content('a\\ud83c'), content('\\udf0ab')], [text('a🌊b')]],
    'split with an empty delta in between is joined': [
      [content('\\ud83c'), content(''), content('\\udf0a')],
      [text('🌊')],
    ],
    'whose other half does not come is replaced': [
      [content('a\\ud83c'), content('b')],
      [text('a\ufffdb')],
    ],
    'whose other half does not come before the end is replaced': [
      [content('a\\ud83c')],
      [text('a\ufffd')],
    ],
    'cut by another kind is replaced': [
      [content('\\ud83c'), chunk('"reasoning":"r"'), content('\\udf0a')],
      [text('\ufffd'), { text: 'r', kind: Delta.reasoning, part: 0 }, text('\ufffd')],
    ],
    'that begins with its second half is replaced': [
      [content('\\udf0a\\ud83c')],
      [text('\ufffd\ufffd')],
    ],
  };
  for (const [name, [events, steps]] of Object.entries(cases))
    test(name, () => {
      // Once as the first chunks, once after the shape was learnt.
      assert.deepEqual(run(`${events.join('')}${eventsOf(stop)}`).sink.steps, steps);
      const learnt = run(`${content('x').repeat(2)}${events.join('')}${eventsOf(stop)}`).sink.steps;
      const [first, ...rest] = steps;
      assert.ok(first !== undefined && 'text' in first);
      assert.deepEqual(learnt, [{ ...first, text: `xx${first.text}` }, ...rest]);
    });
});

describe('a tool call', () => {
  const call = (fragment: object) => chunkOf({ tool_calls: [fragment] });
  const begin = (index: number | undefined, id: string | undefined, name: string, text = '') =>
    call({ index, id, type: 'function', function: { name, arguments: text } });
  const more = (index: number | undefined, text: string, id?: string, name?: string) =>
    call({ index, id, function: { name, arguments: text } });
  const tool = (index: number, id: string, name = 'f'): Step => ({ tool: index, id, name });

  const cases: Record<string, [object[], Step[]]> = {
    'comes in fragments': [
      [begin(0, 'a', 'f'), more(0, '{"x"'), more(0, ':1}')],
      [tool(0, 'a'), args('{"x":1}')],
    ],
    'comes beside others, interleaved': [
      [begin(0, 'a', 'f', '{'), begin(1, 'b', 'f', '['), more(0, '}'), more(1, ']')],
      [tool(0, 'a'), args('{'), tool(1, 'b'), args('[', 1), args('}'), args(']', 1)],
    ],
    'comes whole, several in one chunk': [
      [
        chunkOf({
          tool_calls: [
            { index: 0, id: 'a', function: { name: 'f', arguments: '{}' } },
            { index: 1, id: 'b', function: { name: 'f', arguments: '[]' } },
          ],
        }),
      ],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'without any index goes on with the last one': [
      [
        begin(undefined, 'a', 'f'),
        more(undefined, '{'),
        begin(undefined, 'b', 'f'),
        more(undefined, '['),
      ],
      [tool(0, 'a'), args('{'), tool(1, 'b'), args('[', 1)],
    ],
    'without index is found by its id': [
      [
        begin(undefined, 'a', 'f'),
        begin(undefined, 'b', 'g'),
        more(undefined, '1', 'a'),
        more(undefined, '2', 'b'),
      ],
      [tool(0, 'a'), tool(1, 'b', 'g'), args('1'), args('2', 1)],
    ],
    'without index and id, whole each time, is another each time': [
      [begin(undefined, undefined, 'f', '{}'), begin(undefined, undefined, 'f', '[]')],
      [tool(0, 'call_chatcmpl-10'), args('{}'), tool(1, 'call_chatcmpl-11'), args('[]', 1)],
    ],
    'with the index of another but an id and name of its own is another': [
      [begin(0, 'a', 'f', '{}'), begin(0, 'b', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'may repeat its id and name in every fragment': [
      [begin(0, 'a', 'f', '{'), begin(0, 'a', 'f', '1'), begin(0, 'a', 'f', '}')],
      [tool(0, 'a'), args('{1}')],
    ],
    'may have an empty id and name later': [
      [begin(0, 'a', 'f', '{'), more(0, '1', '', ''), more(0, '}', '', '')],
      [tool(0, 'a'), args('{1}')],
    ],
    'may change its id in mid-call without a name': [
      [begin(0, 'a', 'f', '{'), more(0, '}', 'zzz')],
      [tool(0, 'a'), args('{}')],
    ],
    'with the id of another gets one of its own': [
      [begin(0, 'a', 'f', '{}'), begin(1, 'a', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'a_1'), args('[]', 1)],
    ],
    'without an id gets one': [
      [begin(0, undefined, 'f', '{}')],
      [tool(0, 'call_chatcmpl-10'), args('{}')],
    ],
    'may be named late': [
      [more(0, '{', 'a'), more(0, '}'), more(0, '', undefined, 'f')],
      [tool(0, 'a'), args('{}')],
    ],
    'may have its arguments as an object': [
      [call({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } })],
      [tool(0, 'a'), args('{"x":1}')],
    ],
    'may have none': [
      [call({ index: 0, id: 'a', function: { name: 'f', arguments: null } })],
      [tool(0, 'a')],
    ],
    'is numbered from 0 by us, whatever the upstream counts': [
      [begin(3, 'a', 'f', '{}'), begin(7, 'b', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'may come in the old form': [
      [
        chunkOf({ function_call: { name: 'f', arguments: '{' } }),
        chunkOf({ function_call: { arguments: '}' } }),
      ],
      [tool(0, 'call_chatcmpl-10'), args('{}')],
    ],
  };
  for (const [name, [chunks, steps]] of Object.entries(cases))
    test(name, () => {
      const { sink } = run(eventsOf(...chunks, chunkOf({}, 'tool_calls'), '[DONE]'));
      assert.deepEqual(sink.steps, steps);
      assert.equal(sink.end, 'tool_calls');
    });

  test('that is never named is refused before anything counts as finished', () => {
    const { sink } = run(eventsOf(more(0, '{}', 'a'), chunkOf({}, 'tool_calls')));
    assert.equal(sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
  });

  test('the arguments of long calls are scanned, not parsed, and stay with their call', () => {
    const chunks = [0, 1].flatMap((index) => [
      begin(index, `id${index}`, 'f'),
      ...Array.from({ length: 100 }, (_, i) => more(index, `${i % 10}`)),
    ]);
    const { sink, parsed } = decode([bytesOf(eventsOf(...chunks, stop))]);
    assert.ok(parsed <= 6, String(parsed));
    const digits = '0123456789'.repeat(10);
    assert.deepEqual(sink.steps, [tool(0, 'id0'), args(digits), tool(1, 'id1'), args(digits, 1)]);
  });

  test('calls beside each other that take turns never mix', () => {
    const chunks = Array.from({ length: 200 }, (_, i) => more(i % 2, i % 2 === 0 ? 'a' : 'b'));
    const { sink } = run(eventsOf(begin(0, 'x', 'f'), begin(1, 'y', 'f'), ...chunks, stop));
    for (const step of sink.steps)
      if ('text' in step) assert.equal(step.text, step.part === 0 ? 'a' : 'b');
  });

  test('two fragments in one chunk, one of them empty, are not taken for one', () => {
    const pair = (text: string) =>
      chunkOf({
        tool_calls: [
          { index: 0, function: { arguments: '' } },
          { index: 1, function: { arguments: text } },
        ],
      });
    const other = chunkOf({
      tool_calls: [
        { index: 0, function: { arguments: 'z' } },
        { index: 1, function: { arguments: '' } },
      ],
    });
    const { sink } = run(
      eventsOf(begin(0, 'x', 'f'), begin(1, 'y', 'f'), pair('1'), pair('2'), other, stop),
    );
    assert.deepEqual(sink.steps.slice(2), [args('12', 1), args('z', 0)]);
  });

  test('there is a limit to their number', () => {
    const body = (count: number) =>
      eventsOf(...Array.from({ length: count }, (_, i) => begin(i, `c${i}`, 'f')), stop);
    assert.equal(decode([bytesOf(body(1024))]).sink.end, 'stop');
    assert.equal(decode([bytesOf(body(1025))]).sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
  });
});

describe('usage', () => {
  const usageOf = (chunk: object) =>
    run(eventsOf(chunkOf({ content: 'a' }, 'stop'), chunk, '[DONE]')).sink.lastUsage;

  test('comes after the finish reason, with it, or in every chunk; the last one counts', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
    const full = { inputTokens: 3, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 };
    assert.deepEqual(usageOf({ choices: [], usage }), full);
    const each = [1, 2].map((n) => ({
      ...chunkOf({ content: 'a' }),
      usage: { ...usage, completion_tokens: n },
    }));
    assert.deepEqual(run(eventsOf(...each, { ...stop, usage: null })).sink.lastUsage, full);
    assert.deepEqual(run(eventsOf({ ...stop, usage })).sink.lastUsage, full);
  });

  test('counts cached and reasoning tokens', () => {
    const usage = {
      prompt_tokens: 30,
      completion_tokens: 20,
      prompt_tokens_details: { cached_tokens: 10 },
      completion_tokens_details: { reasoning_tokens: 5 },
    };
    assert.deepEqual(usageOf({ choices: [], usage }), {
      inputTokens: 30,
      cachedTokens: 10,
      outputTokens: 20,
      reasoningTokens: 5,
    });
    assert.equal(
      usageOf({ choices: [], usage: { prompt_tokens: 3, prompt_cache_hit_tokens: 2 } })
        ?.cachedTokens,
      2,
    );
  });

  test('is found where Groq and Moonshot put it', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 2 };
    assert.equal(usageOf({ choices: [], x_groq: { usage } })?.inputTokens, 3);
    assert.equal(usageOf({ choices: [{ index: 0, delta: {}, usage }] })?.inputTokens, 3);
  });

  test('counts nothing where there is no count', () => {
    const usage = { prompt_tokens: -1, completion_tokens: 1.5, prompt_tokens_details: null };
    assert.deepEqual(usageOf({ choices: [], usage }), {
      inputTokens: 0,
      cachedTokens: 0,
      outputTokens: 0,
      reasoningTokens: 0,
    });
  });
});

describe('an error inside the stream', () => {
  const cases: Record<string, [string, string, RegExp]> = {
    'an error object': [
      eventsOf({
        error: { code: 500, message: 'Context size has been exceeded.', type: 'server_error' },
      }),
      'MILLRACE_UPSTREAM_ERROR',
      /Context size has been exceeded/,
    ],
    'a code in words': [
      eventsOf({ error: { code: '500', message: 'm', type: null } }),
      'MILLRACE_UPSTREAM_ERROR',
      /m$/,
    ],
    'an error that is a string': [
      eventsOf({ error: 'went wrong' }),
      'MILLRACE_UPSTREAM_ERROR',
      /went wrong/,
    ],
    'the flat form of vLLM': [
      eventsOf({ object: 'error', message: 'too long', type: 'BadRequestError', code: 400 }),
      'MILLRACE_UPSTREAM_REJECTED',
      /too long/,
    ],
    'an event called error': [
      'event: error\ndata: {"message":"busy"}\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'an event called error that is not JSON': [
      'event: error\ndata: busy\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'a field called error': [
      'error: {"code":500,"message":"busy"}\n\ndata: [DONE]\n\n',
      'MILLRACE_UPSTREAM_ERROR',
      /busy/,
    ],
    'a finish reason called error': [
      eventsOf(chunkOf({ content: '' }, 'error')),
      'MILLRACE_UPSTREAM_ERROR',
      /error/,
    ],
    'a rate limit': [
      eventsOf({
        error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' },
      }),
      'MILLRACE_UPSTREAM_LIMITED',
      /limits the rate/,
    ],
    'an empty quota': [
      eventsOf({
        error: { message: 'pay', type: 'insufficient_quota', code: 'insufficient_quota' },
      }),
      'MILLRACE_UPSTREAM_ERROR',
      /pay/,
    ],
    'a request that is wrong': [
      eventsOf({
        error: {
          message: 'too long',
          type: 'invalid_request_error',
          code: 'context_length_exceeded',
        },
      }),
      'MILLRACE_UPSTREAM_REJECTED',
      /too long/,
    ],
  };
  for (const [name, [body, code, words]] of Object.entries(cases)) {
    test(`${name}: ${code}`, () => {
      const first = run(body).sink;
      assert.equal(first.end, code);
      assert.match(first.error?.message ?? '', words);
      const later = run(
        `${eventsOf(chunkOf({ content: 'a' }))}${body}${eventsOf(chunkOf({ content: 'b' }), stop)}`,
      ).sink;
      assert.equal(later.end, code);
      assert.deepEqual(later.steps, [text('a')]);
    });
  }

  test('is quoted in one line, bounded, and without keys', () => {
    const message = `bad key sk-proj-abcdef123456\r\nAuthorization: Bearer hunter2 ${'x'.repeat(5_000)}`;
    const { sink } = run(eventsOf({ error: { message } }));
    const said = sink.error?.message ?? '';
    assert.ok(said.length < 400);
    assert.doesNotMatch(said, /sk-proj|abcdef|hunter2|[\r\n]/);
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
