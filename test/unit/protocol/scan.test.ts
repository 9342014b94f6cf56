/**
 * Goal: the scanner is never wrong. Whatever shape a server's chunks have, and wherever reads end, the stream says what JSON.parse
 * says it does; and plain shapes do not need JSON.parse.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ChunkScanner, viewOf } from '../../../src/protocol/scan.ts';
import { chooseKernel } from '../../../src/protocol/scan-kernel.ts';
import { bytesOf, chunkOf, decode, eventsOf } from '../../support/decode.ts';
import { referenceTrace } from '../../support/reference-chat.ts';
import { seeded } from '../../support/seed.ts';

const slow = process.env['SLOW'] !== undefined;

describe('the scanner', () => {
  const volatile = [
    { name: 'created', kind: 'digits' },
    { name: 'obfuscation', kind: 'text' },
  ] as const;
  const blank = () => new ChunkScanner(volatile);
  const pathOf = (field: string): (string | 0)[] =>
    field === 'arguments'
      ? ['choices', 0, 'delta', 'tool_calls', 0, 'function', 'arguments']
      : ['choices', 0, 'delta', field];
  const learn = (chunk: string, field = 'content'): ChunkScanner => {
    const scanner = blank();
    const bytes = bytesOf(chunk);
    scanner.learn(bytes, 0, bytes.length, {
      kind: 0,
      part: 0,
      path: pathOf(field),
    });
    return scanner;
  };
  const match = (scanner: ChunkScanner, chunk: string): string | undefined => {
    const bytes = bytesOf(`##${chunk}~~`);
    const stop = scanner.match(bytes, viewOf(bytes), 2, bytes.length);
    if (stop < 0) return undefined;
    assert.equal(stop, bytes.length - 2);
    return Buffer.from(bytes.subarray(scanner.start, scanner.end)).toString();
  };
  const plain = (content: string, more = '') =>
    `{"created":17,"choices":[{"index":0,"delta":{"content":"${content}"}}],"model":"m"${more}}`;

  test('knows nothing before it has learnt', () => {
    assert.ok(blank().blank);
    assert.equal(match(blank(), plain('a')), undefined);
  });

  test('finds another text in the shape it learnt, as the range of its escaped body', () => {
    const scanner = learn(plain('a'));
    for (const text of ['b', 'a longer text', '北京', '\\n', '\\"}}]', '\\ud83c\\udf0a'])
      assert.equal(match(scanner, plain(text)), text);
  });

  test('takes any clock and any padding', () => {
    const scanner = learn(plain('a', ',"obfuscation":"xY7"'));
    const other = plain('b', ',"obfuscation":""').replace('17', '9007199254');
    assert.equal(match(scanner, other), 'b');
    assert.equal(match(scanner, other.replace('9007199254', '123456789012345')), 'b');
    for (const first of ['9', '10', '1909', '123456789012345'])
      assert.equal(match(learn(plain('a').replace('17', first)), plain('b')), 'b', first);
    for (const clock of ['-1', '017', '1.5', '1e3', '"1"', '', '1234567890123456'])
      assert.equal(match(scanner, other.replace('9007199254', clock)), undefined, clock);
  });

  test('doubts whatever differs by one byte outside the slots', () => {
    const scanner = learn(plain('a'));
    const chunk = plain('b');
    const slots = new Set([11, 12, chunk.indexOf('"b"') + 1]);
    for (let at = 0; at < chunk.length; at++) {
      if (slots.has(at)) continue;
      const other = `${chunk.slice(0, at)}${chunk[at] === '#' ? '+' : '#'}${chunk.slice(at + 1)}`;
      assert.equal(match(scanner, other), undefined, `byte ${at}`);
    }
  });

  test('doubts every chunk that is cut short', () => {
    const scanner = learn(plain('a'));
    const bytes = bytesOf(plain('b'));
    for (let end = 0; end < bytes.length; end++)
      assert.equal(scanner.match(bytes, viewOf(bytes), 0, end), -1, `up to ${end}`);
  });

  test('doubts an empty text: then another member may speak', () => {
    assert.equal(match(learn(plain('a')), plain('')), undefined);
  });

  test('does not learn what can be read in two ways', () => {
    for (const chunk of [
      '{"choices":[{"delta":{"content":"a"}}],"choices":[]}',
      '{"choices":[{"delta":{"content":"a","content":"b"}}]}',
      '{"choices":[{"delta":{"content":"a"},"delta":{}}]}',
      '{"choices":[{"delta":{"cont\\u0065nt":"x","content":"a"}}]}',
      '{"choices":{"delta":{"content":"a"}}}',
      '{"choices":[{"delta":{"content":["a"]}}]}',
    ])
      assert.ok(learn(chunk).blank, chunk);
  });

  test('learns arguments inside a tool call, and reasoning', () => {
    const call = (text: string) =>
      `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"${text}"}}]}}]}`;
    assert.equal(match(learn(call('a'), 'arguments'), call('\\"x')), '\\"x');
    const thought = (text: string) =>
      `{ "choices" : [ { "delta" : { "content":"", "reasoning_content" : "${text}" } } ] }`;
    assert.equal(match(learn(thought('a'), 'reasoning_content'), thought('b')), 'b');
  });

  test('forgets when told to', () => {
    const scanner = learn(plain('a'));
    scanner.forget();
    assert.ok(scanner.blank);
  });

  test('does not keep shapes above its limit', () => {
    assert.ok(!learn(plain('a', `,"x":"${'y'.repeat(3_900)}"`)).blank);
    assert.ok(learn(plain('a', `,"x":"${'y'.repeat(4_100)}"`)).blank);
    assert.ok(!learn(plain('a'.repeat(5_000))).blank, 'the text itself does not count');
  });

  const shape = (n: number, text = 'a') => plain(text, `,"n":${n}`);
  const teach = (scanner: ChunkScanner, n: number) => {
    const bytes = bytesOf(shape(n));
    scanner.learn(bytes, 0, bytes.length, { kind: 0, part: 0, path: pathOf('content') });
  };

  test('keeps four shapes, and forgets the one that was not needed for longest', () => {
    const scanner = blank();
    for (let n = 1; n <= 5; n++) {
      teach(scanner, n);
      assert.equal(match(scanner, shape(n, 'b')), 'b');
    }
    assert.equal(match(scanner, shape(1)), undefined);
    for (const n of [2, 3, 4, 5]) assert.equal(match(scanner, shape(n, 'b')), 'b');
  });

  test('gives up learning for a while when nothing matches what it learnt', () => {
    const scanner = blank();
    for (let n = 1; n <= 4; n++) teach(scanner, n);
    for (let n = 5; n <= 260; n++) teach(scanner, n);
    for (let n = 5; n <= 260; n++) assert.equal(match(scanner, shape(n)), undefined);
    teach(scanner, 261);
    assert.equal(match(scanner, shape(261, 'b')), 'b');
  });
});

test('a stream whose shape never repeats is parsed, and soon not learnt any more', () => {
  const events = Array.from({ length: 300 }, (_, i) => ({
    ...chunkOf({ content: 'a' }),
    logprobs: i,
  }));
  const { sink, parsed } = decode([bytesOf(eventsOf(...events, chunkOf({}, 'stop'), '[DONE]'))]);
  assert.equal(parsed, 301);
  assert.equal(sink.end, 'stop');
  assert.equal(sink.deltas, 300);
});

test('shapes that take turns are each learnt once', () => {
  const events = Array.from({ length: 100 }, (_, i) =>
    chunkOf(i % 2 === 0 ? { content: 'a' } : { reasoning_content: 'b' }),
  );
  const { sink, parsed } = decode([bytesOf(eventsOf(...events, chunkOf({}, 'stop'), '[DONE]'))]);
  assert.equal(parsed, 3);
  assert.equal(sink.steps.length, 100);
});

// Streams of one made-up server: a fixed shape (order of members, blanks, way of escaping) with changing texts, and now and then a
// chunk that differs from it in a way that must not be overlooked.

interface Server {
  readonly order: number;
  readonly blank: string;
  readonly lineEnd: string;
  readonly colon: string;
  readonly escape: 'least' | 'ascii' | 'most';
  readonly field: 'content' | 'reasoning_content' | 'reasoning' | 'refusal';
}

type Turn =
  | { readonly turn: 'text'; readonly text: string }
  | { readonly turn: 'other'; readonly text: string }
  | { readonly turn: 'odd'; readonly how: number; readonly text: string };

const server: fc.Arbitrary<Server> = fc.record({
  order: fc.nat({ max: 5 }),
  blank: fc.constantFrom('', ' ', '\t', '  '),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
  colon: fc.constantFrom('data: ', 'data:', 'data:  '),
  escape: fc.constantFrom('least', 'ascii', 'most'),
  field: fc.constantFrom('content', 'content', 'reasoning_content', 'reasoning', 'refusal'),
});

const common = [
  'a',
  'b',
  ' ',
  'é',
  '北',
  '🌊',
  '"',
  '\\',
  '\n',
  '\t',
  '/',
  '\u2028',
  '\0',
  '\u007f',
];
const unit = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom(...common) },
  { weight: 1, arbitrary: fc.constantFrom('\ud83c', '\udf0a') },
);
const text = fc.oneof(
  { weight: 9, arbitrary: fc.string({ unit, minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '\ud83c', '\udf0a') },
);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  { weight: 30, arbitrary: text.map((text): Turn => ({ turn: 'text', text })) },
  { weight: 1, arbitrary: text.map((text): Turn => ({ turn: 'other', text })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat({ max: 12 }), text)
      .map(([how, text]): Turn => ({ turn: 'odd', how, text })),
  },
);

/** A JSON string, escaped more or less than needed. */
function quoted(text: string, how: Server['escape']): string {
  const least = JSON.stringify(text);
  if (how === 'least') return least;
  const hex = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  if (how === 'ascii') return least.replace(/[^\x20-\x7e]/g, hex);
  return `"${Array.from({ length: text.length }, (_, i) => (text[i] === '/' ? '\\/' : hex(text[i]))).join('')}"`;
}

/** One chunk as this server writes it. */
function chunk(it: Server, member: string, more = '', index = 0): string {
  const b = it.blank;
  const delta = `"delta"${b}:${b}{${b}${member}${b}}`;
  const choice = [`"index":${index}`, delta, '"finish_reason":null', '"logprobs":null'];
  if (it.order % 2 === 1) choice.reverse();
  const parts = [
    '"id":"chatcmpl-1"',
    '"object":"chat.completion.chunk"',
    `"created"${b}:${b}1795426362`,
    `"choices"${b}:${b}[${b}{${choice.join(`,${b}`)}}${b}]`,
  ];
  if (more !== '') parts.push(more);
  const turned = [...parts.slice(it.order % 4), ...parts.slice(0, it.order % 4)];
  return `{${turned.join(`,${b}`)}}`;
}

function event(it: Server, turn: Turn): string {
  const own = `${JSON.stringify(it.field)}${it.blank}:${it.blank}${quoted(turn.text, it.escape)}`;
  const as = (field: string) => `"${field}":${quoted(turn.text, it.escape)}`;
  const line = (data: string) => `${it.colon}${data}${it.lineEnd}${it.lineEnd}`;
  if (turn.turn === 'text') return line(chunk(it, own));
  if (turn.turn === 'other')
    return line(chunk(it, as(it.field === 'content' ? 'refusal' : 'content')));
  const odd = [
    () => line(chunk(it, `${own},${as(it.field)}`)),
    () => line(chunk(it, `${own},"${it.field}":null`)),
    () => line(chunk(it, `"${it.field.replace('e', '\\u0065')}":"x"`)),
    () => line(chunk(it, own, '"usage":{"prompt_tokens":1,"completion_tokens":2}')),
    () => line(chunk(it, own, '"created":1')),
    () => line(chunk(it, `${own},"role":"assistant"`)),
    () => line(chunk(it, `${own},"obfuscation":"padding"`, '"obfuscation":"pad"')),
    () => `: keep-alive${it.lineEnd}${it.lineEnd}${line(chunk(it, own))}`,
    () => `event: message${it.lineEnd}${line(chunk(it, own))}`,
    () => line(`${it.blank}${chunk(it, own)}${it.blank}`),
    () => line(chunk(it, own, '"choices":[]')),
    () => line(chunk(it, own).replace(/,/g, `,${it.lineEnd}data: `)),
    () => line(chunk(it, '"content":"","reasoning":"","reasoning_content":null')),
  ];
  return (odd[turn.how] ?? odd[0])();
}

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

for (const kernel of [true, false]) {
  describe(kernel ? 'with the kernel' : 'without the kernel', () => {
    before(() => chooseKernel(kernel));
    after(() => chooseKernel(true));

    test('any shape of chunks in any reads says what JSON.parse says it does', () => {
      const { seed } = seeded('scan');
      const cuts = fc.array(fc.nat(), { maxLength: 12 });
      let parsed = 0;
      let events = 0;
      fc.assert(
        fc.property(
          server,
          fc.array(turn, { maxLength: 50 }),
          cuts,
          fc.boolean(),
          (it, turns, cuts, ends) => {
            const finish = `data: ${JSON.stringify(chunkOf({}, 'stop'))}\n\n`;
            const body = turns.map((turn) => event(it, turn)).join('') + (ends ? finish : '');
            const bytes = bytesOf(body);
            const expected = referenceTrace(bytes);
            const done = decode(pieces(bytes, cuts));
            assert.deepEqual(done.sink.trace, expected, JSON.stringify(body));
            assert.deepEqual(decode([bytes]).sink.trace, expected);
            parsed += done.parsed;
            events += turns.length;
          },
        ),
        { seed, numRuns: slow ? 100_000 : 1_500 },
      );
      // Not part of correctness, but without it nothing was tested.
      assert.ok(parsed < 0.6 * events, `${parsed} of ${events} parsed`);
    });

    test('a damaged byte never crashes anything and never invents a finish', () => {
      const { seed } = seeded('scan-damage');
      const events = ['The', ' river', ' "x"', ' 北京', '\n', ' 🌊', ' end'].map((content) =>
        chunkOf({ content }),
      );
      const bytes = bytesOf(eventsOf(...events, ...events));
      const damage = fc.array(
        fc.record({ at: fc.nat({ max: bytes.length - 1 }), to: fc.nat({ max: 255 }) }),
        { minLength: 1, maxLength: 3 },
      );
      fc.assert(
        fc.property(damage, fc.array(fc.nat(), { maxLength: 4 }), (damage, cuts) => {
          const damaged = bytes.slice();
          for (const { at, to } of damage) damaged[at] = to;
          const whole = decode([damaged]).sink;
          assert.match(whole.end ?? '', /^MILLRACE_/);
          assert.deepEqual(decode(pieces(damaged, cuts)).sink.trace, whole.trace);
        }),
        { seed, numRuns: slow ? 100_000 : 2_000 },
      );
    });

    test('damage that stays text is read as JSON.parse reads it', () => {
      const { seed } = seeded('scan-text-damage');
      const events = ['The', ' river', '\\n', ' é', ' end'].map((content) => chunkOf({ content }));
      const bytes = bytesOf(eventsOf(...events, ...events, chunkOf({}, 'stop')));
      // Not the first byte: a bracket there makes the body JSON, which the reference does not know.
      const places = Array.from(bytes.keys()).filter((at) => at > 0 && bytes[at] < 0x80);
      const damage = fc.array(
        fc.record({
          at: fc.constantFrom(...places),
          to: fc.constantFrom(...bytesOf('"\\{}[]:, \r\n0123456789abdenu')),
        }),
        { minLength: 1, maxLength: 2 },
      );
      fc.assert(
        fc.property(damage, fc.array(fc.nat(), { maxLength: 4 }), (damage, cuts) => {
          const damaged = bytes.slice();
          for (const { at, to } of damage) damaged[at] = to;
          const reference = referenceTrace(damaged);
          // A damaged finish reason is an unknown one.
          const end = reference.end?.startsWith('MILLRACE_') === true ? reference.end : 'stop';
          const expected = { ...reference, end };
          assert.deepEqual(decode([damaged]).sink.trace, expected, Buffer.from(damaged).toString());
          assert.deepEqual(decode(pieces(damaged, cuts)).sink.trace, expected);
        }),
        { seed, numRuns: slow ? 100_000 : 2_000 },
      );
    });

    test('random bytes never crash anything, and are never an answer', () => {
      const { seed } = seeded('scan-random');
      const byte = fc.oneof(
        fc.nat({ max: 255 }),
        fc.constantFrom(...bytesOf('data: {}[]"\\\r\n:,')),
      );
      fc.assert(
        fc.property(
          fc.array(byte, { maxLength: 200 }),
          fc.array(fc.nat(), { maxLength: 4 }),
          (list, cuts) => {
            const bytes = Uint8Array.from(list);
            const whole = decode([bytes]).sink;
            assert.match(whole.end ?? '', /^MILLRACE_/);
            assert.deepEqual(decode(pieces(bytes, cuts)).sink.trace, whole.trace);
          },
        ),
        { seed, numRuns: slow ? 100_000 : 2_000 },
      );
    });
  });
}
