/**
 * Goal: the WebAssembly kernel finds what its twin in TypeScript finds, to the byte, and no more; and a stream says the same with it as
 * eventsource-parser and JSON.parse say. Method: both over random shapes, damaged bytes and stale memory behind the end; whole
 * streams cut at every byte; the memory that begins anew, and a sink that reads another stream meanwhile.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anthropic } from '../../../src/protocol/providers/anthropic.ts';
import { ollama } from '../../../src/protocol/providers/ollama.ts';
import { openaiChat } from '../../../src/protocol/providers/openai-chat.ts';
import { ChunkScanner, viewOf } from '../../../src/protocol/scan.ts';
import { chooseKernel, type Framing, scanKernel } from '../../../src/protocol/scan-kernel.ts';
import { bytesOf, chunkOf, decode, eventsOf, stop } from '../../support/decode.ts';
import { referenceTrace } from '../../support/reference-chat.ts';
import { seeded } from '../../support/seed.ts';
import { TraceSink } from '../../support/trace.ts';

const slow = process.env['SLOW'] !== undefined;
after(() => chooseKernel(true));

function kernel() {
  const found = scanKernel();
  assert.ok(found, 'every Node we support has WebAssembly with SIMD');
  return found;
}

const volatile = [
  { name: 'created', kind: 'digits' },
  { name: 'pad', kind: 'text' },
] as const;
const path = ['choices', 0, 'delta', 'content'] as const;

/** The twin: event after event as the decoder reads them without the kernel. */
function twin(scanner: ChunkScanner, bytes: Uint8Array, from: number, framing: Framing): number[] {
  const found: number[] = [];
  const view = viewOf(bytes);
  const name = Buffer.from(framing.eventLine).toString('latin1');
  const text = Buffer.from(bytes).toString('latin1');
  let pos = from;
  while (pos < bytes.length - 16) {
    let data = pos;
    if (!framing.lines) {
      if (!text.startsWith(`${name}data:`, pos)) break;
      if (name !== '' && pos + name.length + 16 > bytes.length) break;
      data += name.length + 5;
      if (bytes[data] === 0x20) data += 1;
    }
    const after = scanner.match(bytes, view, data, bytes.length);
    if (after < 0 || after - pos > framing.eventBytesMax) break;
    const end = framing.lines ? ['\n'] : ['\n\n', '\r\n\r\n'];
    const line = end.find((it) => text.startsWith(it, after));
    if (line === undefined) break;
    pos = after + line.length;
    found.push(scanner.start, scanner.end, pos);
  }
  return found;
}

const pieces = [
  'a',
  '"',
  '\\',
  '\\n',
  '\\"',
  '\\u00e9',
  '\\ud83c\\udf0a',
  '\\ud83c',
  'é',
  '北',
  '🌊',
]
  .concat(['\\q', '\\u12', 'x'.repeat(15), 'x'.repeat(16), 'y'.repeat(33), '\u0000', '\u007f', ' '])
  .concat(['{', '}', '\n', '\\/', '\\b\\f\\r\\t', '\\\\']);

test('random shapes, damage and stale memory: kernel and twin find the same', () => {
  const random = seeded('scan kernel');
  const pick = (n: number) => Math.floor(random.next() * n);
  let events = 0;
  let runs = 0;
  for (let n = slow ? 1_000_000 : 40_000; n > 0; n--) {
    const own = 'k'.repeat(pick(40));
    const chunk = (text: string, clock: string, pad: string) =>
      `{"${own}":1,"created":${clock},"choices":[{"delta":{"content":"${text}"}}],"pad":"${pad}"}`;
    const scanner = new ChunkScanner(volatile);
    const learnt = bytesOf(chunk('a', '1', ''));
    scanner.learn(learnt, 0, learnt.length, { kind: 0, part: 0, path });
    const lines = pick(4) === 0;
    const eventLine = bytesOf(lines || pick(2) === 0 ? '' : `event: ${'e'.repeat(pick(20))}\n`);
    const eventBytesMax = pick(10) === 0 ? 60 + pick(200) : 1 << 20;
    const framing: Framing = { lines, eventLine, eventBytesMax };
    const lineEnd = pick(3) === 0 ? '\r\n' : '\n';
    let body = pick(2) === 0 ? '' : '~'.repeat(pick(20));
    const from = body.length;
    for (let count = pick(5); count >= 0; count--) {
      const text = Array.from({ length: pick(4) + (pick(9) === 0 ? 0 : 1) }, () =>
        random.next() < 0.7 ? pieces[0] : pieces[pick(pieces.length)],
      ).join('');
      const clock = ['7', '1795426362', '0', '01', '123456789012345', '1234567890123456'][
        random.next() < 0.9 ? pick(2) : pick(6)
      ];
      const data = chunk(text, clock, random.next() < 0.5 ? '' : pieces[pick(pieces.length)]);
      const prefix = lines
        ? ''
        : `${Buffer.from(eventLine).toString()}data:${pick(3) === 0 ? '' : ' '}`;
      body += prefix + data + (lines ? '\n' : lineEnd + lineEnd);
    }
    const bytes = new Uint8Array(Buffer.from(body));
    if (pick(3) === 0) bytes[pick(bytes.length)] = pick(256);
    const end = pick(3) === 0 ? pick(bytes.length + 1) : bytes.length;
    const cut = bytes.subarray(0, Math.max(from, end));
    const expected = twin(scanner, cut, from, framing);
    const shape = scanner.first();
    assert.ok(shape);
    const found = (given: Uint8Array) => {
      const count = kernel().scan(shape, given, from, framing);
      return [...kernel().found.subarray(0, 3 * count)];
    };
    const about = JSON.stringify({ body, from, end, lines, eventLine, eventBytesMax });
    assert.deepEqual(found(cut), expected, about);
    // In place, with the rest of the events behind the end: what an earlier, longer read left there.
    const area = kernel().readArea;
    area.fill(0x0a, 0, bytes.length + 64);
    area.set(bytes);
    assert.deepEqual(found(area.subarray(0, cut.length)), expected, `in place: ${about}`);
    events += expected.length / 3;
    runs += 1;
  }
  assert.ok(events > runs / 2, `${events} events found in ${runs} runs`);
});

const texts = [
  'The',
  ' river',
  ' "x"',
  '\n',
  ' 北京',
  ' 🌊',
  ' and so on, a longer one: '.repeat(3),
];

test('a stream cut at every byte says what eventsource-parser and JSON.parse say, in the memory of the kernel and elsewhere', () => {
  for (const lineEnd of ['\n', '\r\n']) {
    const body = eventsOf(...texts.map((content) => chunkOf({ content })), stop, '[DONE]');
    const bytes = new Uint8Array(Buffer.from(body.replaceAll('\n', lineEnd)));
    const expected = referenceTrace(bytes);
    for (const on of [true, false]) {
      chooseKernel(on);
      for (let at = 0; at <= bytes.length; at++) {
        const cut = [bytes.subarray(0, at), bytes.subarray(at)];
        assert.deepEqual(decode(cut).sink.trace, expected, `cut at ${at}`);
        if (!on) continue;
        const sink = new TraceSink();
        const decoder = openaiChat.decoder('lab', sink, { eventBytesMax: 1 << 20 });
        for (const piece of cut) {
          kernel().readArea.set(piece);
          decoder.push(kernel().readArea.subarray(0, piece.length));
        }
        decoder.close();
        assert.deepEqual(sink.trace, expected, `in place, cut at ${at}`);
      }
    }
  }
});

test('named events and lines are read by the kernel too', () => {
  chooseKernel(true);
  const named = (name: string, value: object) =>
    `event: ${name}\ndata: ${JSON.stringify({ type: name, ...value })}\n\n`;
  const delta = (text: string) =>
    named('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
  const messages = [
    named('message_start', { message: { usage: { input_tokens: 1, output_tokens: 1 } } }),
    named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    ...texts.map(delta),
    named('content_block_stop', { index: 0 }),
    named('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 9 } }),
    named('message_stop', {}),
  ].join('');
  const lines = [
    ...texts.map((content) => ({
      model: 'm',
      message: { role: 'assistant', content },
      done: false,
    })),
    { model: 'm', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' },
  ]
    .map((value) => `${JSON.stringify(value)}\n`)
    .join('');
  for (const [provider, body] of [
    [anthropic, messages],
    [ollama, lines],
  ] as const) {
    const before = kernel().scans;
    const { sink, parsed } = decode([bytesOf(body)], { provider });
    assert.deepEqual(sink.steps, [{ text: texts.join(''), kind: 0, part: 0 }]);
    assert.equal(sink.end, 'stop');
    assert.ok(kernel().scans > before);
    assert.ok(parsed < texts.length, `${parsed} events parsed`);
  }
});

describe('the memory of the kernel', () => {
  const stream = (id: number) => {
    const scanner = new ChunkScanner(volatile);
    const chunk = (text: string) =>
      `{"id":"${id}","more":"${'m'.repeat(900)}","choices":[{"delta":{"content":"${text}"}}]}`;
    const learnt = bytesOf(chunk('a'));
    scanner.learn(learnt, 0, learnt.length, { kind: 0, part: 0, path });
    return { shape: scanner.first(), bytes: bytesOf(`data: ${chunk(`t${id}`)}\n\n`) };
  };
  const framing: Framing = { lines: false, eventLine: new Uint8Array(0), eventBytesMax: 1 << 20 };

  test('holds more shapes than it has room for: those that were overwritten are laid down again', () => {
    chooseKernel(true);
    const streams = Array.from({ length: 3_000 }, (_, id) => stream(id));
    for (let round = 0; round < 3; round++) {
      for (const { shape, bytes } of streams) {
        assert.ok(shape);
        assert.equal(kernel().scan(shape, bytes, 0, framing), 1);
        const [start, end] = kernel().found;
        assert.match(Buffer.from(bytes.subarray(start, end)).toString(), /^t\d+$/);
      }
    }
    const [first, second] = streams;
    assert.ok(first.shape);
    assert.equal(
      kernel().scan(first.shape, second.bytes, 0, framing),
      0,
      'not the shape of another',
    );
  });

  test('leaves to its twin what does not fit: reads above 64 KiB, more than 1024 events at once', () => {
    chooseKernel(true);
    const { shape } = stream(1);
    assert.ok(shape);
    assert.equal(kernel().scan(shape, new Uint8Array(64 * 1024 + 1), 0, framing), 0);
    for (const count of [1_024, 1_025, 3_000]) {
      const values = Array.from({ length: count }, (_, n) => chunkOf({ content: `${n} ` }));
      const body = new Uint8Array(Buffer.from(eventsOf(...values, stop, '[DONE]')));
      assert.deepEqual(decode([body]).sink.trace, referenceTrace(body));
      const small = Array.from({ length: count }, (_, n) => ({
        choices: [{ delta: { content: `${n}` } }],
      }));
      const dense = new Uint8Array(Buffer.from(eventsOf(...small, stop, '[DONE]')));
      assert.deepEqual(decode([dense]).sink.trace, referenceTrace(dense));
    }
  });

  test('is taken away by a sink that reads another stream: both streams are whole', () => {
    chooseKernel(true);
    const body = (word: string) =>
      bytesOf(
        eventsOf(
          ...Array.from({ length: 40 }, (_, n) => chunkOf({ content: `${word}${n} ` })),
          stop,
        ),
      );
    const other = decode([body('x')]).sink.trace;
    const inner: string[] = [];
    class Nosy extends TraceSink {
      override delta(...given: Parameters<TraceSink['delta']>): void {
        super.delta(...given);
        if (inner.length < 20) inner.push(JSON.stringify(decode([body('x')]).sink.trace));
      }
    }
    const outer = new Nosy();
    const decoder = openaiChat.decoder('lab', outer, { eventBytesMax: 1 << 20 });
    decoder.push(body('y'));
    decoder.close();
    assert.deepEqual(outer.trace, decode([body('y')]).sink.trace);
    assert.deepEqual(new Set(inner), new Set([JSON.stringify(other)]));
  });
});

test('without WebAssembly, without vectors and without room for a memory everything is read the other way', (t) => {
  const there = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly');
  assert.ok(there);
  t.after(() => Object.defineProperty(globalThis, 'WebAssembly', there));
  const body = new Uint8Array(
    Buffer.from(eventsOf(chunkOf({ content: 'a' }), chunkOf({ content: 'b' }), stop)),
  );
  function full(): void {
    throw new RangeError('could not allocate memory');
  }
  const worlds = [
    undefined,
    { validate: () => false },
    { validate: () => true, Module: Object, Instance: full },
  ];
  for (const value of worlds) {
    Object.defineProperty(globalThis, 'WebAssembly', { value, configurable: true });
    chooseKernel(true);
    assert.equal(scanKernel(), undefined);
    assert.deepEqual(decode([body]).sink.trace, referenceTrace(body));
  }
});

test('what is committed is what the compiler makes of wasm/scan.ts', () => {
  const root = fileURLToPath(new URL('../../../..', import.meta.url));
  const built = spawnSync(process.execPath, ['scripts/build-wasm.mjs', '--print'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  const committed = readFileSync(`${root}/src/protocol/scan-kernel-bytes.ts`, 'utf8');
  assert.equal(committed, built.stdout, 'run npm run build:wasm');
});
