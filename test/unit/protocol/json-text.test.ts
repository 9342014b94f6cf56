/** Goal: the scanner of string bodies says yes to nothing that JSON.parse and strict UTF-8 do not say yes to. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { endsInHalf, escapeBody, scanBody, wellFormed } from '../../../src/protocol/json-text.ts';
import { isUtf8Range, textOf } from '../../../src/protocol/utf8.ts';
import { bytesOf } from '../../support/decode.ts';
import { seeded } from '../../support/seed.ts';

const runs = process.env['SLOW'] === undefined ? 20_000 : 1_000_000;

/** The decoded text when the bytes up to the quote are a body beyond doubt. */
function strictBody(bytes: Uint8Array, quote: number): string | undefined {
  try {
    const body = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(0, quote),
    );
    const text = JSON.parse(`"${body}"`) as string;
    return /\p{Surrogate}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

describe('scanBody', () => {
  const found: Record<string, [string, number]> = {
    'an empty body': ['"', 0],
    'plain text': ['abc"def', 3],
    'escaped quotes and backslashes': [String.raw`a\"\\"`, 5],
    'all short escapes': [String.raw`\"\\\/\b\f\n\r\t"`, 16],
    'a unicode escape in any case': [String.raw`\u00e9\u00E9"`, 12],
    'a whole surrogate pair': [String.raw`\ud83c\udf0a"`, 12],
    'the first and the last pair': [String.raw`\ud800\udc00\udbff\udfff"`, 24],
    'the neighbours of surrogates': [String.raw`\ud7ff\ue000"`, 12],
    'two pairs': [String.raw`\ud83c\udf0a\uD83C\uDF0A"`, 24],
    'bytes of other scripts': ['北京🌊"', 10],
    'a delete character': ['\x7f"', 1],
  };
  for (const [name, [text, quote]] of Object.entries(found))
    test(`finds the end of ${name}`, () => {
      const bytes = bytesOf(text);
      assert.equal(scanBody(bytes, 0, bytes.length), quote);
      assert.notEqual(strictBody(bytes, quote), undefined);
    });

  const doubted: Record<string, string | Uint8Array> = {
    'no quote': 'abc',
    'nothing at all': '',
    'a quote that is escaped': String.raw`abc\"`,
    'an escape at the end': 'abc\\',
    'an unknown escape': String.raw`\x41"`,
    'an escape cut short': String.raw`\u00e"`,
    'an escape that is not hexadecimal': String.raw`\u00g9"`,
    'an escape beyond the end': String.raw`\u00`,
    'a first half alone': String.raw`\ud83c"`,
    'a first half before something else': String.raw`\ud83c\u0041"`,
    'a first half twice': String.raw`\ud83c\ud83c"`,
    'a last first half before a neighbour of surrogates': String.raw`\udbff\ue000"`,
    'a first half before a unit below its other half': String.raw`\ud800\udbff"`,
    'a second half before another': String.raw`\udc00\udc00"`,
    'a first half whose other half lacks its backslash': String.raw`\ud83cXudf0a"`,
    'a first half whose other half lacks its u': String.raw`\ud83c\ndf0a"`,
    'a second half alone': String.raw`\udf0a"`,
    'a line feed': 'a\nb"',
    'a zero byte': 'a\0"',
    'a tab': '\t"',
    'a stray continuation byte': Uint8Array.of(0x80, 0x22),
    'a code point cut short': Uint8Array.of(0xe5, 0x8c, 0x22),
    'an overlong form': Uint8Array.of(0xc0, 0xaf, 0x22),
    'a surrogate in UTF-8': Uint8Array.of(0xed, 0xa0, 0xbc, 0x22),
    'a byte that no UTF-8 has': Uint8Array.of(0xff, 0x22),
  };
  for (const [name, input] of Object.entries(doubted))
    test(`doubts ${name}`, () => {
      const bytes = typeof input === 'string' ? bytesOf(input) : input;
      assert.equal(scanBody(bytes, 0, bytes.length), -1);
    });

  test('agrees with JSON.parse and strict UTF-8 on any bytes', () => {
    const { seed } = seeded('json-text');
    const byte = fc.oneof(
      fc.constantFrom(...bytesOf('\\"u0dD8cfnrt/')),
      fc.constantFrom(0x61, 0x0a, 0x1f, 0x7f, 0xc3, 0xa9, 0xe5, 0x8c, 0x97, 0xed, 0xa0, 0xf0, 0x9f),
      fc.integer({ min: 0, max: 255 }),
    );
    const piece = fc.oneof(
      byte.map((it) => [it]),
      fc
        .constantFrom('\\ud83c', '\\udf0a', '\\ud83c\\udf0a', '\\\\', '\\"', 'é', '🌊')
        .map((it) => [...bytesOf(it)]),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const bytes = Uint8Array.from([...pieces.flat(), 0x22]);
        const quote = scanBody(bytes, 0, bytes.length);
        // The first quote that no backslash escapes, found in another way.
        const raw = Buffer.from(bytes).toString('latin1');
        const first = /^(?:[^"\\]|\\[\s\S])*"/.exec(raw)?.[0].length ?? 0;
        const expected = first > 0 && strictBody(bytes, first - 1) !== undefined ? first - 1 : -1;
        assert.equal(quote, expected, JSON.stringify(raw));
      }),
      { seed, numRuns: runs },
    );
  });

  test('looks at nothing behind the end it is given', () => {
    for (const text of [String.raw`\ud83c\udf0a"`, String.raw`\u00e9"`, 'abc"', '\\""']) {
      const bytes = bytesOf(text);
      for (let end = 0; end < bytes.length; end++) {
        const quote = scanBody(bytes, 0, end);
        assert.ok(quote < end, `${text} up to ${end}`);
        if (quote >= 0) assert.equal(bytes[quote], 0x22);
      }
    }
  });
});

describe('escapeBody', () => {
  test('writes what scanBody and JSON.parse read back as the same text', () => {
    const { seed } = seeded('escape-body');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = wellFormed(text);
        const body = escapeBody(clean);
        const quoted = Uint8Array.from([...body, 0x22]);
        assert.equal(scanBody(quoted, 0, quoted.length), body.length);
        assert.equal(strictBody(quoted, body.length), clean);
      }),
      { seed, numRuns: 2_000 },
    );
  });
});

describe('wellFormed', () => {
  test('does what encoding to UTF-8 and back does', () => {
    const { seed } = seeded('well-formed');
    const unit = fc.constantFrom('a', '\ud83c', '\udf0a', '\ud83c\udf0a', '\ufffd', 'é');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        assert.equal(wellFormed(text), Buffer.from(text, 'utf8').toString('utf8'));
      }),
      { seed, numRuns: 5_000 },
    );
  });

  test('endsInHalf sees a first half at the end, and nothing else', () => {
    for (const half of ['\ud800', '\ud83c', '\udbff']) assert.ok(endsInHalf(`a${half}`));
    for (const text of ['', 'a', '\ud7ff', '\udc00', '\udf0a', '\ud83c\udf0a', '\ud83ca'])
      assert.ok(!endsInHalf(text));
  });
});

test('text is had from valid UTF-8 only', () => {
  const bytes = bytesOf('x北京y');
  assert.equal(textOf(bytes, 1, 7), '北京');
  assert.equal(textOf(bytes, 1, 6), undefined);
  assert.equal(textOf(bytes, 3, 3), '');
  assert.ok(isUtf8Range(bytes, 0, bytes.length));
  assert.ok(!isUtf8Range(bytes, 2, 4));
});
