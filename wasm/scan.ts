/**
 * The scanner of the hot path (AssemblyScript, not TypeScript): events of one learnt shape that follow each other in a read, compared
 * sixteen bytes a step. Its twin is the loop of src/protocol/providers/stream-decoder.ts with src/protocol/scan.ts, which reads
 * what this leaves, and everything where there is no WebAssembly; the two are held together by tests. src/protocol/scan-kernel.ts lays
 * the memory out and calls. `npm run build:wasm` compiles it.
 *
 * No allocation, no runtime: one function over fixed memory. Loads of sixteen bytes may run over the end of what they look at, never over the
 * end of the memory; what they saw there is masked away.
 *
 *     shape   ┌ slots │ event line, bytes │ 1: lines │ where literals begin ┐
 *             ├ literal bytes │ kind of slot ┤ … once per slot
 *             └ bytes of the last literal │ … event line (16-aligned) │ … literals (16-aligned)
 */

/** Where the position behind the last event goes, and what was found: delta's start, delta's end, event's end. */
const NEXT: usize = 0;
const FOUND: usize = 16;
const FOUND_BYTES: usize = 12;

const SLOTS_AT: usize = 16;

const DIGITS: i32 = 0;
const DELTA: i32 = 2;

const SHORTEST_EVENT_BYTES: usize = 16;
const DIGITS_MAX: usize = 15;

const LF: u8 = 10;
const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const LOWER_U: u8 = 0x75;

const NO: usize = usize.MAX_VALUE;

let start: usize = 0;
let stop: usize = 0;

/**
 * Reads events from `from` on, as many as have this shape and fit `most`; positions are told from `base` on. Returns how many.
 */
export function scan(
  shape: usize,
  base: usize,
  from: usize,
  end: usize,
  eventBytesMax: usize,
  most: i32,
): i32 {
  const lines = load<i32>(shape, 8) === 1;
  let pos = from;
  let found: usize = FOUND;
  let count: i32 = 0;
  while (count < most && pos + SHORTEST_EVENT_BYTES < end) {
    const data = lines ? pos : dataAt(shape, pos, end);
    if (data === NO) break;
    const after = match(shape, data, end);
    if (after === NO || after - pos > eventBytesMax) break;
    const next = lines ? lineEnd(after, end) : blankLine(after, end);
    if (next === NO) break;
    store<i32>(found, <i32>(start - base));
    store<i32>(found, <i32>(stop - base), 4);
    store<i32>(found, <i32>(next - base), 8);
    found += FOUND_BYTES;
    count++;
    pos = next;
  }
  store<i32>(NEXT, <i32>(pos - base));
  return count;
}

/** Where the data of the event at `pos` begins, when it is named as the shape is. */
function dataAt(shape: usize, pos: usize, end: usize): usize {
  const length = <usize>load<i32>(shape, 4);
  let at = pos;
  if (length > 0) {
    if (at + length + SHORTEST_EVENT_BYTES > end) return NO;
    if (!same(literalsAt(shape) - aligned(length), at, length)) return NO;
    at += length;
  }
  // 'data' and a colon.
  if (load<u32>(at) !== 0x61746164 || load<u8>(at, 4) !== 0x3a) return NO;
  return load<u8>(at, 5) === 0x20 ? at + 6 : at + 5;
}

function literalsAt(shape: usize): usize {
  return shape + <usize>load<i32>(shape, 12);
}

function aligned(bytes: usize): usize {
  return (bytes + 15) & ~15;
}

/** The position after the shape's JSON that begins at `pos`; `start` and `stop` are the delta's. */
function match(shape: usize, pos: usize, end: usize): usize {
  let slots = load<i32>(shape);
  let slot = shape + SLOTS_AT;
  let literal = literalsAt(shape);
  let at = pos;
  while (slots > 0) {
    const length = <usize>load<i32>(slot);
    const kind = load<i32>(slot, 4);
    const begin = at + length;
    if (begin > end || !same(literal, at, length)) return NO;
    at = kind === DIGITS ? digits(begin, end) : body(begin, end);
    if (at === NO) return NO;
    if (kind === DELTA) {
      // Empty says nothing, and then another member may speak: not ours to decide.
      if (at === begin) return NO;
      start = begin;
      stop = at;
    }
    literal += length;
    slot += 8;
    slots--;
  }
  const length = <usize>load<i32>(slot);
  return at + length <= end && same(literal, at, length) ? at + length : NO;
}

function same(a: usize, b: usize, length: usize): bool {
  let at: usize = 0;
  for (; at + 16 <= length; at += 16) {
    if (v128.any_true(v128.xor(v128.load(a + at), v128.load(b + at)))) return false;
  }
  const equal = i8x16.bitmask(i8x16.eq(v128.load(a + at), v128.load(b + at)));
  const rest = (1 << (<i32>(length - at))) - 1;
  return (equal & rest) === rest;
}

/** A plain positive integer, at most 15 digits. */
function digits(pos: usize, end: usize): usize {
  let at = pos;
  while (at < end && <u32>load<u8>(at) - 0x30 <= 9) at++;
  if (at === pos || at - pos > DIGITS_MAX || load<u8>(pos) === 0x30) return NO;
  return at;
}

/** The closing quote of the escaped body at `pos`, when everything before it is beyond doubt: see src/protocol/json-text.ts. */
function body(pos: usize, end: usize): usize {
  let at = pos;
  let high: i32 = 0;
  while (at < end) {
    const bytes = v128.load(at);
    const special = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(bytes, i8x16.splat(QUOTE)), i8x16.eq(bytes, i8x16.splat(BACKSLASH))),
        i8x16.lt_u(bytes, i8x16.splat(0x20)),
      ),
    );
    const above = i8x16.bitmask(bytes);
    if (special === 0) {
      high |= above;
      at += 16;
      continue;
    }
    const first = ctz(special);
    high |= above & ((1 << first) - 1);
    at += first;
    if (at >= end) return NO;
    const byte = load<u8>(at);
    if (byte === QUOTE) return high === 0 || isUtf8(pos, at) ? at : NO;
    if (byte !== BACKSLASH) return NO;
    at = skipEscape(at);
    if (at === NO) return NO;
  }
  return NO;
}

/** The position after the escape at `at`, a whole pair for surrogates. It may run over the end: then there is no quote before it. */
function skipEscape(at: usize): usize {
  const kind = load<u8>(at, 1);
  if (kind !== LOWER_U) return isShortEscape(kind) ? at + 2 : NO;
  const unit = hex4(at + 2);
  if (unit < 0) return NO;
  if (unit < 0xd800 || unit > 0xdfff) return at + 6;
  if (unit > 0xdbff || load<u8>(at, 6) !== BACKSLASH || load<u8>(at, 7) !== LOWER_U) return NO;
  const low = hex4(at + 8);
  return low >= 0xdc00 && low <= 0xdfff ? at + 12 : NO;
}

function isShortEscape(kind: u8): bool {
  return (
    kind === QUOTE ||
    kind === BACKSLASH ||
    kind === 0x2f ||
    kind === 0x62 ||
    kind === 0x66 ||
    kind === 0x6e ||
    kind === 0x72 ||
    kind === 0x74
  );
}

function hex4(at: usize): i32 {
  let value: i32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const byte = <i32>load<u8>(at + i);
    const lower = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x61 + 10;
    else return -1;
  }
  return value;
}

/** RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF, nothing cut. */
function isUtf8(pos: usize, end: usize): bool {
  let at = pos;
  while (at < end) {
    const byte = load<u8>(at);
    if (byte < 0x80) {
      at++;
      continue;
    }
    let more: usize;
    let low: u8 = 0x80;
    let top: u8 = 0xbf;
    if (byte < 0xc2) return false;
    if (byte < 0xe0) more = 1;
    else if (byte < 0xf0) {
      more = 2;
      if (byte === 0xe0) low = 0xa0;
      else if (byte === 0xed) top = 0x9f;
    } else if (byte < 0xf5) {
      more = 3;
      if (byte === 0xf0) low = 0x90;
      else if (byte === 0xf4) top = 0x8f;
    } else return false;
    if (at + more >= end) return false;
    const second = load<u8>(at, 1);
    if (second < low || second > top) return false;
    for (let i: usize = 2; i <= more; i++) {
      if ((load<u8>(at + i) & 0xc0) !== 0x80) return false;
    }
    at += more + 1;
  }
  return true;
}

/** The position after the end of a line and an empty line. */
function blankLine(at: usize, end: usize): usize {
  if (at + 2 > end) return NO;
  if (load<u8>(at) === LF) return load<u8>(at, 1) === LF ? at + 2 : NO;
  if (at + 4 > end) return NO;
  // CR LF CR LF
  return load<u32>(at) === 0x0a0d0a0d ? at + 4 : NO;
}

/** The position after the end of a line. */
function lineEnd(at: usize, end: usize): usize {
  return at < end && load<u8>(at) === LF ? at + 1 : NO;
}
