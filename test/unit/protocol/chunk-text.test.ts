/**
 * Goal: text is cut between graphemes and nowhere else, in strings and in escaped bytes, whole or growing. Method: Intl.Segmenter, whose
 * Unicode is the table's, as oracle over the borders of all classes and over random texts of what the rules are about. SLOW=1: every
 * code point, more texts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CLUSTER_UNITS_MAX,
  chunkEnd,
  cutBody,
  TextChunks,
} from '../../../src/protocol/chunk-text.ts';
import { graphemeRanges, UNICODE_VERSION } from '../../../src/protocol/grapheme-ranges.ts';
import { seeded } from '../../support/seed.ts';

const { next } = seeded('chunk text');
const slow = process.env['SLOW'] === '1';
const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const graphemes = (text: string) => Array.from(segmenter.segment(text), ({ segment }) => segment);
const ours = `${process.versions.unicode}.0`;
const otherUnicode =
  ours === UNICODE_VERSION ? false : `this Node has Unicode ${ours}, the table ${UNICODE_VERSION}`;

/** Everything the rules speak of, and scripts that live from it. */
const pool = [
  'ab 7#\r\n\t"\\/',
  '\u0301\u0308\u200d\u200c\ufe0f\u20e3\u0600\u06dd\u0903\u0b3e\u0e33',
  '\u0915\u0916\u094d\u093c\u09cd\u0995\u0d4e\u0d15\u0d4d\u1000\u1039\u1b05\u1b44',
  '\u1100\u1161\u11a8\uac00\uac01\ud7a3水ß',
  '👩👧🏽❤🏳🇦🇧🇨🏴\u{e0067}\u{e007f}𝒳\u{113d1}',
].flatMap((chars) => Array.from(chars));

function randomText(most: number): string {
  const count = 1 + Math.floor(next() * most);
  return Array.from({ length: count }, () => pool[Math.floor(next() * pool.length)]).join('');
}

function pieces(text: string, size: number): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = chunkEnd(text, at, size);
    assert.ok(end > at, 'a piece is never empty');
    found.push(text.slice(at, end));
    at = end;
  }
  return found;
}

/** Graphemes by `size`, as the oracle has them. */
function expected(text: string, size: number): string[] {
  const all = graphemes(text);
  const found: string[] = [];
  for (let at = 0; at < all.length; at += size) found.push(all.slice(at, at + size).join(''));
  return found;
}

test('the table is what the data of Unicode says', () => {
  const script = fileURLToPath(new URL('../../../../scripts/graphemes.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

/** Planes that hold characters with a class of their own; the others are one run each. */
const inhabited = (point: number) => point < 0x20000 || (point >= 0xe0000 && point < 0xe1000);

/** First, last, and neighbours of every run of the table. */
function borders(): number[] {
  const found = new Set<number>([0xac00, 0xac01, 0xac1b, 0xac1c, 0xd7a3, 0xd7a4]);
  let at = 0;
  for (const run of graphemeRanges.flatMap((line) => line.split(','))) {
    const [gap, length] = run.split(' ').map((digits) => Number.parseInt(digits, 36));
    at += gap;
    for (const point of [at - 1, at, at + length - 1, at + length]) found.add(point);
    at += length;
  }
  return [...found].filter((point) => point >= 0 && point < 0x110000);
}

test('every class ends and begins where the oracle says, beside every other class', {
  skip: otherUnicode,
}, () => {
  const every = () => Array.from({ length: 0x110000 }, (_, point) => point).filter(inhabited);
  const points = slow ? every() : borders();
  const beside = 'a\u0301\u200d👩ᄀ\u1161\u11a8가각🇦\r\n\u0600\u0903क\u094d';
  for (const point of points) {
    // Half a pair alone is none of our texts.
    if (point >= 0xd800 && point < 0xe000) continue;
    const one = String.fromCodePoint(point);
    for (const other of beside) {
      for (const text of [one + other, other + one]) {
        assert.equal(pieces(text, 1).length, graphemes(text).length, escape(text));
      }
    }
  }
});

test('random texts fall into the pieces of the oracle, in any size', { skip: otherUnicode }, () => {
  for (let round = 0; round < (slow ? 200_000 : 15_000); round++) {
    const text = randomText(12);
    const size = 1 + Math.floor(next() * 4);
    assert.deepEqual(pieces(text, size), expected(text, size), `${size} of ${escape(text)}`);
  }
  for (let round = 0; round < 200; round++) {
    const text = randomText(400);
    const size = 1 + Math.floor(next() * 40);
    assert.deepEqual(pieces(text, size), expected(text, size), `${size} of ${escape(text)}`);
  }
});

/** As different servers escape: nothing they need not, everything but ASCII, in both cases, and any mixture. */
function escaped(text: string): string {
  const style = next();
  return Array.from(JSON.stringify(text).slice(1, -1))
    .map((char) => {
      const plain = char.codePointAt(0) ?? 0;
      if (plain < 0x80 || next() < style) return char;
      const units = Array.from({ length: char.length }, (_, at) => char.charCodeAt(at));
      const hex = units.map((unit) => unit.toString(16).padStart(4, '0'));
      return hex.map((digits) => `\\u${next() < 0.5 ? digits : digits.toUpperCase()}`).join('');
    })
    .join('');
}

test('escaped bytes are cut where the text is cut, and say the same', () => {
  const cut = { end: 0, whole: 0 };
  for (let round = 0; round < (slow ? 100_000 : 10_000); round++) {
    const text = randomText(30);
    const size = 1 + Math.floor(next() * 6);
    const bytes = Buffer.from(`x${escaped(text)}x`);
    const end = bytes.length - 1;
    const found: string[] = [];
    for (let at = 1; at < end; at = cut.end) {
      cutBody(bytes, at, end, size, cut);
      assert.ok(cut.end > at && cut.whole > at - 1 && cut.whole <= cut.end);
      found.push(JSON.parse(`"${bytes.subarray(at, cut.end).toString()}"`));
    }
    assert.deepEqual(found, pieces(text, size), `${size} of ${escape(text)}`);
  }
});

test('a cluster without end is cut, between code points, in linear time', () => {
  for (const mark of ['\u0301', '\u{e0067}', '\u200d']) {
    const text = `a${mark.repeat(100_000)}`;
    const found = pieces(text, 1);
    assert.equal(found.join(''), text);
    for (const piece of found) {
      assert.ok(piece.length <= CLUSTER_UNITS_MAX);
      assert.ok(!/\p{Surrogate}/u.test(piece));
    }
    assert.ok(found.length <= 2 + (2 * text.length) / CLUSTER_UNITS_MAX);
    const bytes = Buffer.from(text);
    const cut = { end: 0, whole: 0 };
    const ends: number[] = [];
    for (let at = 0; at < bytes.length; at = cut.end) {
      cutBody(bytes, at, bytes.length, 1, cut);
      ends.push(cut.end);
    }
    assert.equal(ends.length, found.length);
  }
  const family = '👨🏽‍👩🏽‍👧🏽‍👦🏽';
  assert.ok(family.length < CLUSTER_UNITS_MAX);
  assert.deepEqual(pieces(family.repeat(3), 1), [family, family, family]);
});

test('a size of zero is nobody’s; one that is larger than the text gives it whole', () => {
  assert.equal(chunkEnd('abc', 1, 100), 3);
  assert.equal(chunkEnd('', 0, 5), 0);
  assert.equal(chunkEnd('abc', 3, 5), 3);
});

/** Whatever comes behind a cut that the whole text would not have: marks, which nobody can wait for. */
const lateMark =
  /^(?:\p{M}|\p{Emoji_Modifier}|[\u0e33\u1160-\u11ff\ud7b0-\ud7fb]|\u200c|\u200d|[\u{e0020}-\u{e007f}])/u;

test('a growing text: nothing is lost, nothing whole waits, and only marks come too late', {
  skip: otherUnicode,
}, () => {
  for (let round = 0; round < (slow ? 50_000 : 5_000); round++) {
    const text = randomText(40);
    const size = 1 + Math.floor(next() * 6);
    const chunks = new TextChunks();
    const ends = new Set<number>([0]);
    let said = '';
    const take = (complete: boolean) => {
      for (
        let piece = chunks.next(size, complete);
        piece !== '';
        piece = chunks.next(size, complete)
      ) {
        said += piece;
        ends.add(said.length);
        assert.ok(!/\p{Surrogate}/u.test(piece), escape(piece));
        assert.ok(graphemes(piece).length <= size, escape(piece));
      }
      assert.ok(chunks.units <= CLUSTER_UNITS_MAX);
    };
    for (let at = 0; at < text.length; ) {
      // Also between the halves of a surrogate pair.
      const length = 1 + Math.floor(next() * 5);
      chunks.push(text.slice(at, at + length));
      at += length;
      take(false);
    }
    take(true);
    assert.equal(said, text);
    let at = 0;
    for (const grapheme of graphemes(text)) {
      const inside = [...ends].filter((end) => end > at && end < at + grapheme.length);
      // A mark that came late has lost its grapheme, and what would have joined behind it, too.
      if (inside.length > 0) assert.match(text.slice(Math.min(...inside)), lateMark, escape(text));
      at += grapheme.length;
    }
  }
});

test('what is plainly unfinished waits for its rest', () => {
  for (const [first, rest] of [
    ['👩', '\u200d💻'],
    ['👩\u200d', '💻'],
    ['🇩', '🇪'],
    ['\r', '\n'],
    ['क\u094d', 'ष'],
    ['ᄀ', '\u1161'],
    ['\u0600', '7'],
  ]) {
    const chunks = new TextChunks();
    chunks.push(`word ${first}`);
    assert.equal(chunks.next(20, false), 'word ', escape(first));
    assert.equal(chunks.next(20, false), '');
    chunks.push(`${rest} end`);
    assert.equal(chunks.next(1, false), first + rest);
    assert.equal(chunks.next(20, false), ' end');
  }
  const chunks = new TextChunks();
  chunks.push('🇩');
  assert.equal(chunks.next(1, false), '');
  assert.equal(chunks.next(1, true), '🇩');
});
