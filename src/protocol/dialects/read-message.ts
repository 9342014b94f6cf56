/** A client message as JSON: parsed already (large ones, on another thread) or now. */
import { MillraceError } from '../../errors.ts';
import type { ClientMessage } from '../dialect.ts';
import { Fields, slice } from './fields.ts';

const REASON_CHARS_MAX = 120;

/** Throws MILLRACE_MESSAGE_NOT_TEXT, MILLRACE_JSON_INVALID or, for JSON that is no object, MILLRACE_FIELD_INVALID. */
export function readMessage(message: ClientMessage): Fields {
  if (message.binary) throw new MillraceError('MILLRACE_MESSAGE_NOT_TEXT', {});
  return new Fields(message.parsed === undefined ? parse(message.bytes) : message.parsed, '');
}

function parse(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : 'unreadable';
    throw new MillraceError('MILLRACE_JSON_INVALID', {
      reason: text === '' ? 'it is empty' : slice(reason, REASON_CHARS_MAX),
    });
  }
}
