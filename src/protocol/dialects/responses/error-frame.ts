/** Error events: they belong to a lane or to none, carry no sequence number and leave the session open. */
import type { Code, MillraceError } from '../../../errors.ts';
import { slice } from '../fields.ts';

const MESSAGE_CHARS_MAX = 2_000;

/** Which field of the request an error is about, where its details do not say. */
const params: Partial<Record<Code, string>> = {
  MILLRACE_PREVIOUS_NOT_FOUND: 'previous_response_id',
  MILLRACE_LANE_INVALID: 'stream_id',
  MILLRACE_LANES_EXHAUSTED: 'stream_id',
  MILLRACE_MODEL_NOT_FOUND: 'model',
  MILLRACE_RESPONSE_NOT_FOUND: 'response_id',
  MILLRACE_EVENT_UNKNOWN: 'type',
};

/** `lane` undefined or '': the event names no stream. */
export function errorFrame(error: MillraceError, lane?: string): Uint8Array {
  const { failure, details, code } = error;
  const event = {
    type: 'error',
    status: failure.status,
    ...(lane ? { stream_id: lane } : {}),
    error: { ...errorObject(error), ...retryAfter(details['waitMs']) },
    x_millrace: { code, retry: failure.retry },
  };
  return Buffer.from(JSON.stringify(event));
}

/** The `error` object of every OpenAI API. */
export function errorObject(error: MillraceError): object {
  const { failure, details, code } = error;
  const path = details['path'];
  return {
    type: failure.type ?? 'server_error',
    code: error.word,
    message: errorText(error),
    param: params[code] ?? (typeof path === 'string' && path !== 'the message' ? path : null),
  };
}

export function errorText(error: MillraceError): string {
  return slice(error.message, MESSAGE_CHARS_MAX);
}

/** What HTTP would say in headers: SDKs look for these two under `error.headers`. */
function retryAfter(waitMs: string | number | undefined): object {
  if (typeof waitMs !== 'number') return {};
  const seconds = String(Math.max(1, Math.ceil(waitMs / 1000)));
  return { headers: { 'retry-after': seconds, 'retry-after-ms': String(Math.ceil(waitMs)) } };
}
