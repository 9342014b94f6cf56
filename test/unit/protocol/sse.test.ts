/**
 * Goal: events are framed as the WHATWG standard says, whatever the reads. Oracle: eventsource-parser over the whole text at once.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { SseFramer } from '../../../src/protocol/sse.ts';
import { bytesOf } from '../../support/decode.ts';
import { seeded } from '../../support/seed.ts';

interface Event {
  readonly name: string;
  readonly data: string;
}

/** Frames the pieces; a range must hold until its read is closed, and its read is spoilt after that. */
function frame(
  pieces: readonly Uint8Array[],
  max = 1 << 20,
): { events: Event[]; oversize: boolean } {
  const framer = new SseFramer(max);
  const events: Event[] = [];
  let held: { bytes: Uint8Array; start: number; end: number; name: string; data: string }[] = [];
  const take = () => {
    const { bytes, start, end, name } = framer;
    const data = Buffer.from(bytes.subarray(start, end)).toString();
    held.push({ bytes, start, end, name, data });
    events.push({ name, data });
  };
  for (const piece of pieces) {
    const read = Buffer.from(piece);
    framer.open(read);
    let pos = 0;
    while (pos < read.length && !framer.oversize) {
      pos = framer.next(pos);
      if (framer.ready) take();
    }
    for (const { bytes, start, end, data } of held)
      assert.equal(Buffer.from(bytes.subarray(start, end)).toString(), data, 'held until close');
    held = [];
    framer.close();
    read.fill(0x0a);
  }
  framer.finish();
  if (framer.ready) take();
  return { events, oversize: framer.oversize };
}

function oracle(text: string): Event[] {
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ name: event ?? '', data }),
  });
  parser.feed(`${text}\n\n`);
  return events;
}

function check(text: string, expected: readonly Event[]): void {
  const bytes = bytesOf(text);
  assert.deepEqual(frame([bytes]).events, expected, 'whole');
  assert.deepEqual(
    frame(Array.from(bytes, (byte) => Uint8Array.of(byte))).events,
    expected,
    'bytes',
  );
  for (let at = 0; at <= bytes.length; at++)
    assert.deepEqual(
      frame([bytes.subarray(0, at), bytes.subarray(at)]).events,
      expected,
      `split at ${at}`,
    );
}

const data = (...values: string[]): Event[] => values.map((value) => ({ name: '', data: value }));

describe('an event', () => {
  const cases: Record<string, [string, Event[]]> = {
    'ends with a blank line, LF': ['data: a\n\ndata: b\n\n', data('a', 'b')],
    'ends with a blank line, CRLF': ['data: a\r\n\r\ndata: b\r\n\r\n', data('a', 'b')],
    'ends with a blank line, CR': ['data: a\r\rdata: b\r\r', data('a', 'b')],
    'ends with any mixture of them': [
      'data: a\r\n\rdata: b\n\r\ndata: c\r\n\n',
      data('a', 'b', 'c'),
    ],
    'counts at the end without its blank line': ['data: a\n\ndata: [DONE]\n', data('a', '[DONE]')],
    'counts at the end without any line end': ['data: a\n\ndata: [DONE]', data('a', '[DONE]')],
    'needs no blank after the colon, and loses only one': [
      'data:a\n\ndata:  b\n\n',
      data('a', ' b'),
    ],
    'joins its data lines': ['data: a\ndata: b\n\ndata\ndata: c\n\n', data('a\nb', '\nc')],
    'has an empty data line': ['data:\n\ndata: \n\n', data('', '')],
    'has a name, before or after its data': [
      'event: x\ndata: a\n\ndata: b\nevent: y\n\ndata: c\n\n',
      [{ name: 'x', data: 'a' }, { name: 'y', data: 'b' }, ...data('c')],
    ],
    'with a name but no data is none, and its name is forgotten': [
      'event: ping\n\ndata: a\n\n',
      data('a'),
    ],
    'may have an id, a retry time, and fields of the future': [
      'id: 7\nretry: 100\nfoo: bar\ndata: a\n\nid\nretry: soon\ndatas: no\ndat: no\ndata: b\n\n',
      data('a', 'b'),
    ],
    'is not ended or begun by comments': [
      ': OPENROUTER PROCESSING\n\n:\n\ndata: a\n: in between\ndata: b\n\n:\n\n',
      data('a\nb'),
    ],
    'is not spoilt by a byte order mark before the first line': ['\ufeffdata: a\n\n', data('a')],
    'keeps a byte order mark anywhere else': [
      'data: \ufeffa\n\n\ufeffdata: b\n\n',
      data('\ufeffa'),
    ],
    'keeps code points whole': ['data: 北京 🌊\ndata: é\n\n', data('北京 🌊\né')],
    'called error as a field, as llama-server wrote it, is one': [
      'error: {"code":500}\n\ndata: [DONE]\n\n',
      [{ name: 'error', data: '{"code":500}' }, ...data('[DONE]')],
    ],
  };
  for (const [name, [text, expected]] of Object.entries(cases))
    test(name, () => check(text, expected));
});

test('any sequence of lines in any reads frames as eventsource-parser does', () => {
  const { seed } = seeded('sse');
  const field = fc.constantFrom('data', 'data', 'data', 'event', 'id', 'foo', 'dat', '', ' data');
  const value = fc.string({
    unit: fc.constantFrom('a', ':', ' ', '{', '"', 'é', '🌊'),
    maxLength: 6,
  });
  const line = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(field, fc.constantFrom(':', ': ', ''), value).map((it) => it.join('')),
    },
    { weight: 3, arbitrary: fc.constant('') },
  );
  const text = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 24 })
    .map((lines) => lines.flat().join(''));
  const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 8 });
  fc.assert(
    fc.property(text, cuts, fc.boolean(), (text, cuts, mark) => {
      const bytes = bytesOf(mark ? `\ufeff${text}` : text);
      assert.deepEqual(frame(pieces(bytes, cuts)).events, oracle(text));
    }),
    { seed, numRuns: process.env['SLOW'] === undefined ? 3_000 : 100_000 },
  );
});

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

test('a line that may have been an event before a byte of it changed is spoilt; fields of the future are not', () => {
  const spoilt = (line: string) => {
    const framer = new SseFramer(1024);
    framer.open(bytesOf(`data: a\n${line}\n\n`));
    framer.next(0);
    return framer.spoilt;
  };
  for (const line of [
    'eata: {"a":1}',
    'dat: [1]',
    ' data: a',
    'd\u00f5ta: a',
    '\ufeffdata: a',
    '{"error":"no"}',
    '[DONE]',
    'event: xdata: {"a":1}',
    'event: x\u00f5',
  ])
    assert.ok(spoilt(line), line);
  for (const line of [
    ': {"a":1}',
    'id: {"a":1}',
    'retry: 10',
    'foo: bar',
    'X-y_2:1',
    'foo',
    'event: response.output_text.delta',
    'error: {}',
    'data: {"a":1}',
  ])
    assert.ok(!spoilt(line), line);
});

test('an event that lies whole in one read is a range of it, not a copy', () => {
  const framer = new SseFramer(1024);
  const read = bytesOf('data: first\n\ndata: second\n\ndata: a\ndata: b\n\n');
  framer.open(read);
  let pos = framer.next(0);
  assert.ok(framer.ready);
  assert.equal(framer.bytes, read);
  assert.equal(framer.start, 6);
  pos = framer.next(pos);
  assert.equal(framer.bytes, read);
  framer.next(pos);
  assert.notEqual(framer.bytes, read, 'several lines have to be joined somewhere');
});

test('is between events exactly where a new one would begin', () => {
  const framer = new SseFramer(1024);
  const betweenAfter = (text: string): boolean => {
    framer.open(bytesOf(text));
    let pos = 0;
    while (pos < text.length) pos = framer.next(pos);
    framer.close();
    return framer.between;
  };
  assert.equal(framer.between, false, 'a byte order mark may come');
  for (const [text, between] of [
    [': hi\n', true],
    ['d', false],
    ['ata: a', false],
    ['\n', false],
    ['data: b\n', false],
    ['\n', true],
    ['data\n', false],
    ['\n', true],
    ['event: x\n', false],
    ['\r\n', true],
    [':', false],
    ['\n', true],
  ] as const)
    assert.equal(betweenAfter(text), between, JSON.stringify(text));
});

describe('the size limit', () => {
  const max = 100;
  const reads = (text: string): Uint8Array[][] => {
    const bytes = bytesOf(text);
    return [
      [bytes],
      Array.from(bytes, (byte) => Uint8Array.of(byte)),
      [bytes.subarray(0, 50), bytes.subarray(50)],
    ];
  };
  const line = (length: number) => `data: ${'x'.repeat(length - 6)}`;
  const cases: Record<string, [string, boolean]> = {
    'lets an event of exactly its size through': [`${line(max)}\n\n`, false],
    'refuses one byte more': [`${line(max + 1)}\n\n`, true],
    'counts all lines of an event together': [`${line(50)}\n${line(51)}\n\n`, true],
    'counts each event by itself': [`${line(max)}\n\n${line(max)}\r\n\r\n`, false],
    'counts fields that mean nothing too': [`foo: ${'x'.repeat(50)}\n${line(60)}\n\n`, true],
    'holds for a line that never ends': ['x'.repeat(max + 4), true],
    'holds for a comment': [`:${'x'.repeat(max)}\n`, true],
    'does not add comments up': [`:${'x'.repeat(max - 1)}\n`.repeat(5) + line(max), false],
    'does not count line ends': [`${line(max)}\r\n\r\n`, false],
  };
  for (const [name, [text, oversize]] of Object.entries(cases)) {
    test(name, () => {
      for (const pieces of reads(text)) assert.equal(frame(pieces, max).oversize, oversize);
    });
  }

  test('nothing is handed out after it was passed', () => {
    const text = `data: a\n\n${line(max + 1)}\n\ndata: b\n\n`;
    for (const pieces of reads(text)) assert.deepEqual(frame(pieces, max).events, data('a'));
  });
});

test('one byte a read costs time in proportion to the bytes', () => {
  // Made beforehand, and each once: what collecting them costs is not the framer's.
  const singles = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const time = (length: number) => {
    const bytes = bytesOf(`data: ${'x'.repeat(length)}\n\n`);
    const reads = Array.from(bytes, (byte) => singles[byte]);
    const before = process.cpuUsage().user;
    frame(reads);
    return process.cpuUsage().user - before;
  };
  time(20_000);
  const least = (length: number) => Math.min(...Array.from({ length: 5 }, () => time(length)));
  const small = least(20_000);
  const large = least(160_000);
  // Eight times the bytes; quadratic would be 64 times the work.
  assert.ok(large < 24 * Math.max(small, 1_000), `${small} µs, then ${large} µs`);
});
