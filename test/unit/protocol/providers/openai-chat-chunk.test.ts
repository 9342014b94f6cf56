/** Goal: what servers write beside the documented form of a chunk is read for what it means. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Delta } from '../../../../src/protocol/events.ts';
import { bytesOf, chunkOf, decode, eventsOf, run, stop, text } from '../../../support/decode.ts';
import type { Step } from '../../../support/trace.ts';

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

  test('in a line that begins with a blank is lost to any event stream, so the answer has failed', () => {
    const body = ` ${eventsOf(chunkOf({ content: 'a' }), chunkOf({ content: 'b' }, 'stop'))}`;
    const { steps, end } = run(body).sink.trace;
    assert.deepEqual({ steps, end }, { steps: [], end: 'MILLRACE_UPSTREAM_MALFORMED' });
  });

  test('keeps code points of every length whole, split at any byte', () => {
    const points = [
      0x20, 0x7e, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff, 0x200d,
    ];
    const words = points.map((point) => String.fromCodePoint(point));
    const body = bytesOf(
      eventsOf(...[...words, words.join('')].map((content) => chunkOf({ content })), stop),
    );
    for (let at = 0; at <= body.length; at++) {
      const { sink } = decode([body.subarray(0, at), body.subarray(at)]);
      assert.deepEqual(sink.steps, [text(words.join('').repeat(2))]);
    }
  });

  test('under names that reach for prototypes is nothing', () => {
    const body =
      'data: {"__proto__":{"error":"x","choices":[]},"constructor":{"prototype":{"error":"x"}},' +
      '"choices":[{"index":0,"delta":{"__proto__":{"content":"bad"},"content":"a"},"finish_reason":"stop"}]}\n\n';
    assert.deepEqual(run(body).sink.trace, { steps: [text('a')], usage: undefined, end: 'stop' });
    const whole =
      '{"__proto__":{"error":"x"},"choices":[{"message":{"__proto__":{"content":"bad"},"content":"a"},"finish_reason":"stop"}]}';
    assert.deepEqual(run(whole).sink.trace, { steps: [text('a')], usage: undefined, end: 'stop' });
    assert.ok(!('error' in {}) && !('content' in {}));
  });

  test('nested beyond measure is refused, not thrown', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const fragment = `{"index":0,"id":"a","function":{"name":"f","arguments":${deep}}}`;
    for (const body of [
      `data: {"choices":[{"index":0,"delta":{"tool_calls":[${fragment}]}}]}\n\n`,
      `data: {"choices":[{"index":0,"delta":{"content":${deep}}}]}\n\n`,
      `data: {"error":{"detail":${deep}}}\n\n`,
      `data: {"object":"error","detail":${deep}}\n\n`,
      `data: ${deep}\n\n`,
      deep,
    ])
      assert.match(
        decode([bytesOf(body)]).sink.end ?? '',
        /^MILLRACE_UPSTREAM_(MALFORMED|ERROR|TRUNCATED)$/,
      );
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
