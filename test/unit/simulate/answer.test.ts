import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Answer, answerFor, tokensOf } from '../../../src/simulate/answer.ts';
import { type ChatRequest, parseChatRequest } from '../../../src/simulate/chat-request.ts';
import { DISCLOSURE } from '../../../src/simulate/corpus.ts';
import { directivesIn } from '../../../src/simulate/directives.ts';
import { Draw } from '../../../src/simulate/draw.ts';
import { toolArguments } from '../../../src/simulate/tool-arguments.ts';
import { seeded } from '../../support/seed.ts';

function request(prompt: string, more: object = {}): ChatRequest {
  const messages = [{ role: 'user', content: prompt }];
  return parseChatRequest(JSON.stringify({ model: 'demo', messages, ...more }));
}

function answer(prompt: string, more: object = {}, seed = 1, number = 0): Answer {
  const asked = request(prompt, more);
  return answerFor(asked, directivesIn(prompt, 'a'), { seed, number, meanTokens: 120 });
}

const parameters = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    days: { type: 'integer', minimum: 1, maximum: 3 },
    unit: { enum: ['C', 'F'] },
    tags: { type: 'array', items: { type: 'number' } },
    deep: {
      type: ['object', 'null'],
      properties: { yes: { type: 'boolean' }, no: { type: 'null' } },
    },
    one: { const: 7 },
    either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
  },
};
const tools = [
  { type: 'function', function: { name: 'weather', parameters } },
  { type: 'function', function: { name: 'time' } },
];

test('the same seed and request number give the same answer, others another one', () => {
  assert.deepEqual(answer('hi'), answer('hi'));
  assert.notEqual(answer('hi').content.join(''), answer('hi', {}, 2).content.join(''));
  assert.notEqual(answer('hi').content.join(''), answer('hi', {}, 1, 1).content.join(''));
  const ids = new Set(Array.from({ length: 1000 }, (_, number) => answer('hi', {}, 1, number).id));
  assert.equal(ids.size, 1000);
});

test('every made-up answer says first that it is simulated', () => {
  for (let number = 0; number < 50; number += 1)
    assert.ok(answer('hi', {}, 1, number).content.join('').startsWith(DISCLOSURE));
  assert.ok(answer('@refuse').refusal.join('').startsWith(DISCLOSURE));
  assert.ok(answer('@reason').reasoning.join('').startsWith('(simulated)'));
  assert.match(answer('hi').id, /simulated/);
});

test('tokens joined are the text, for any text, and no token is empty or half a code point', () => {
  const { seed } = seeded('tokens');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const tokens = tokensOf(text);
      assert.equal(tokens.join(''), text);
      assert.ok(tokens.every((token) => token !== '' && !/\p{Surrogate}/u.test(token)));
    }),
    { seed },
  );
});

test('an echo answers exactly what was said', () => {
  assert.equal(answer('@echo größer 日本 🙂\\n"x"').content.join(''), 'größer 日本 🙂\n"x"');
  assert.deepEqual(answer('@echo').content, []);
});

test('the token bound is kept and tells length only when it cut', () => {
  const free = answer('@tokens 20');
  assert.equal(free.content.length, 20);
  const bounds = [
    [1, 'length'],
    [19, 'length'],
    [20, 'stop'],
    [21, 'stop'],
  ] as const;
  for (const [max, finish] of bounds) {
    const cut = answer('@tokens 20', { max_completion_tokens: max });
    assert.deepEqual(cut.content, free.content.slice(0, max));
    assert.equal(cut.finish, finish);
    assert.equal(cut.completionTokens, Math.min(max, 20));
  }
  assert.equal(answer('@tokens 20', { max_tokens: 3 }).content.length, 3);
  const thinking = answer('@reason\n@tokens 20', { max_tokens: 2 });
  assert.equal(thinking.reasoning.length, 2);
  assert.equal(thinking.reasoningTokens, 2);
  assert.deepEqual(thinking.content, []);
  assert.equal(thinking.finish, 'length');
});

test('a stop sequence ends the answer in front of it, also across tokens', () => {
  const stopped = answer('@echo one two three four', { stop: ['four', 'wo thr', 'zzz'] });
  assert.equal(stopped.content.join(''), 'one t');
  assert.equal(stopped.finish, 'stop');
  assert.equal(answer('@echo one two', { stop: 'two' }).content.join(''), 'one ');
});

test('tools are called when the prompt names one or the request insists', () => {
  assert.deepEqual(answer('hi', { tools }).calls, []);
  const wished = answer('@tool time\n@tool weather {"city":"Köln"}\n@tool unknown', { tools });
  assert.deepEqual(
    wished.calls.map((call) => [call.name, call.fragments.join('')]),
    [
      ['time', '{}'],
      ['weather', '{"city":"Köln"}'],
    ],
  );
  assert.equal(wished.finish, 'tool_calls');
  assert.deepEqual(wished.content, []);
  const one = answer('@tool time\n@tool weather', { tools, parallel_tool_calls: false });
  assert.equal(one.calls.length, 1);
  assert.equal(answer('hi', { tools, tool_choice: 'required' }).calls.length, 1);
  const named = { type: 'function', function: { name: 'weather' } };
  assert.equal(answer('hi', { tools, tool_choice: named }).calls[0]?.name, 'weather');
  assert.deepEqual(answer('@tool time', { tools, tool_choice: 'none' }).calls, []);
  assert.deepEqual(answer('@tool time').calls, []);
});

test('a tool result that just came back is answered in words', () => {
  const messages = [
    { role: 'user', content: '@tool time' },
    { role: 'assistant', content: null, tool_calls: [] },
    { role: 'tool', tool_call_id: 'x', content: 'noon' },
  ];
  const asked = request('', { tools, messages });
  const wish = directivesIn('@tool time', 'a');
  const said = answerFor(asked, wish, { seed: 1, number: 0, meanTokens: 20 });
  assert.deepEqual(said.calls, []);
  assert.ok(said.content.length > 0);
});

test('made-up arguments fit the schema they are made for', () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const made = JSON.parse(toolArguments(parameters, new Draw(seed))) as Record<string, unknown>;
    assert.equal(typeof made['city'], 'string');
    assert.ok([1, 2, 3].includes(made['days'] as number));
    assert.ok(['C', 'F'].includes(made['unit'] as string));
    assert.ok((made['tags'] as unknown[]).every((tag) => typeof tag === 'number'));
    const deep = made['deep'] as Record<string, unknown>;
    assert.equal(typeof deep['yes'], 'boolean');
    assert.equal(deep['no'], null);
    assert.equal(made['one'], 7);
    assert.ok(Number.isInteger(made['either']));
  }
  assert.equal(toolArguments(undefined, new Draw(1)), '{}');
});

test('waiting times have the wanted mean and are never negative', () => {
  const draw = new Draw(seeded('waiting times').seed);
  const all = Array.from({ length: 20_000 }, () => draw.around(100, 0.4));
  const mean = all.reduce((sum, one) => sum + one, 0) / all.length;
  assert.ok(Math.abs(mean - 100) < 2, `mean ${mean}`);
  assert.ok(all.every((one) => one > 0));
  assert.equal(draw.around(100, 0), 100);
});

test('a request that makes no sense is refused by field', () => {
  const cases: [string, string][] = [
    ['{', 'MILLRACE_JSON_INVALID'],
    ['[]', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"","messages":[{}]}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[]}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[{"role":1}]}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[{"role":"user"}],"n":2}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[{"role":"user"}],"max_tokens":0}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[{"role":"user"}],"tools":[{}]}', 'MILLRACE_FIELD_INVALID'],
    ['{"model":"m","messages":[{"role":"user"}],"tool_choice":7}', 'MILLRACE_FIELD_INVALID'],
  ];
  for (const [body, code] of cases) assert.throws(() => parseChatRequest(body), { code }, body);
});

test('content given in parts is read as text', () => {
  const content = [
    { type: 'text', text: 'a' },
    { type: 'image_url' },
    { type: 'text', text: '@reason' },
  ];
  const asked = request('', { messages: [{ role: 'user', content }] });
  assert.equal(asked.messages[0]?.content, 'a\n\n@reason');
});
