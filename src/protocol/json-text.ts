/**
 * Escaped bodies of JSON strings (RFC 8259 section 7): the form in which text travels (events.ts).
 */
import { isUtf8Range } from './utf8.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/**
 * Reads an escaped body that begins at `pos` and returns where its closing quote stands, or -1 when there is none before `end`
 * or anything in between is not beyond doubt: control bytes, unknown escapes, invalid UTF-8, half a surrogate pair.
 */
export function scanBody(bytes: Uint8Array, pos: number, end: number): number {
  let seen = 0;
  let at = pos;
  while (at < end) {
    const byte = bytes[at];
    if (byte === QUOTE) return seen < 0x80 || isUtf8Range(bytes, pos, at) ? at : -1;
    if (byte < 0x20) return -1;
    if (byte === BACKSLASH) {
      at = skipEscape(bytes, at);
      if (at < 0) return -1;
    } else {
      seen |= byte;
      at++;
    }
  }
  return -1;
}

/**
 * The position after the escape at `at` (a whole pair for surrogates), or -1. It may run over the end of the caller's range: then
 * there is no quote before it either.
 */
function skipEscape(bytes: Uint8Array, at: number): number {
  const kind = bytes[at + 1];
  if (kind !== LOWER_U) return isShortEscape(kind) ? at + 2 : -1;
  const unit = hex4(bytes, at + 2);
  if (unit < 0) return -1;
  if (unit < 0xd800 || unit > 0xdfff) return at + 6;
  if (unit > 0xdbff || bytes[at + 6] !== BACKSLASH || bytes[at + 7] !== LOWER_U) return -1;
  const low = hex4(bytes, at + 8);
  return low >= 0xdc00 && low <= 0xdfff ? at + 12 : -1;
}

/** `"` `\` `/` b f n r t */
function isShortEscape(kind: number): boolean {
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

function hex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = hexDigit(bytes[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

/** Well-formed text as an escaped body, in bytes of its own. */
export function escapeBody(text: string): Uint8Array {
  const quoted = Buffer.from(JSON.stringify(text), 'utf8');
  return quoted.subarray(1, quoted.length - 1);
}

const half = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text with every half of a surrogate pair that stands alone replaced by U+FFFD (as String.prototype.toWellFormed does). */
export function wellFormed(text: string): string {
  return text.replace(half, '\ufffd');
}

/** Does the text end with the first half of a surrogate pair? */
export function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
