/** The guide's chat knows one kind of error frame: `error` beside `done: true`, because the answer it stands for is over. */
import type { MillraceError } from '../../../errors.ts';
import { slice } from '../fields.ts';

/** What the guide's server says, for clients that show text and nothing else. */
const LIMITED = 'Rate limit exceeded';
const MESSAGE_CHARS_MAX = 2_000;

/** `headers`: see Turn. */
export function errorFrame(
  error: MillraceError,
  headers?: Readonly<Record<string, string>>,
): Uint8Array {
  const content = error.word === 'rate_limit_exceeded' ? LIMITED : '';
  return Buffer.from(JSON.stringify({ content, error: errorJson(error), done: true, headers }));
}

export function errorJson(error: MillraceError): object {
  const { code, failure, details } = error;
  const { waitMs } = details;
  const message = slice(error.message, MESSAGE_CHARS_MAX);
  const after = typeof waitMs === 'number' ? { retryAfterMs: Math.ceil(waitMs) } : {};
  return { code, message, retry: failure.retry, ...after };
}
