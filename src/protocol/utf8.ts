/**
 * Bytes to text, with proof. The native check must see private bytes only: what lies in shared memory is copied out first.
 */
import { isUtf8 } from 'node:buffer';

/** Is `bytes[start, end)` whole, valid UTF-8? */
export function isUtf8Range(bytes: Uint8Array, start: number, end: number): boolean {
  return isUtf8(bytes.subarray(start, end));
}

/** The text of `bytes[start, end)`, or undefined when it is not valid UTF-8: nothing is ever replaced by U+FFFD. */
export function textOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  const range = bytes.subarray(start, end);
  if (!isUtf8(range)) return undefined;
  return Buffer.from(range.buffer, range.byteOffset, range.length).toString('utf8');
}
