/** The guide's chat knows one kind of error frame: `error` beside `done: true`, because the answer it stands for is over. */
import type { MillraceError } from '../../../errors.ts';
import { slice } from '../fields.ts';

const MESSAGE_CHARS_MAX = 2_000;

export function errorFrame(error: MillraceError): Uint8Array {
  return Buffer.from(JSON.stringify({ content: '', error: errorJson(error), done: true }));
}

export function errorJson(error: MillraceError): object {
  const { code, failure } = error;
  return { code, message: slice(error.message, MESSAGE_CHARS_MAX), retry: failure.retry };
}
