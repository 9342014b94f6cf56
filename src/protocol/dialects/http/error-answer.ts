/** A failure as a whole HTTP answer: its status, when to come back, and a body in the shape that OpenAI's clients read. */
import type { MillraceError } from '../../../errors.ts';
import { headed } from '../../answer-head.ts';
import { errorObject } from '../responses/error-frame.ts';

/** Where an error does not know better. */
const RETRY_AFTER_MS = 1_000;

/** `more`: headers beside its own. */
export function errorAnswer(
  error: MillraceError,
  more?: Readonly<Record<string, string>>,
): Uint8Array {
  const { status } = error.failure;
  const headers = { 'content-type': 'application/json', ...advice(error), ...more };
  return headed({ status, headers }, errorJson(error));
}

export function errorJson(error: MillraceError, delivered?: object): string {
  const { code, failure } = error;
  const extension = { code, retry: failure.retry, ...(delivered ? { delivered } : {}) };
  return JSON.stringify({ error: errorObject(error), x_millrace: extension });
}

/** SDKs retry by status alone (408, 409, 429, 5xx) unless the second header says otherwise. */
function advice({ failure, details }: MillraceError): Record<string, string> {
  const { status, retry } = failure;
  const retried = status === 408 || status === 409 || status === 429 || status >= 500;
  if (!retried) return {};
  if (retry === 'never') return { 'x-should-retry': 'false' };
  const said = details['waitMs'];
  const overloaded = status === 429 || status === 503;
  const waitMs = typeof said === 'number' ? said : overloaded ? RETRY_AFTER_MS : undefined;
  if (waitMs === undefined) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1_000))) };
}
