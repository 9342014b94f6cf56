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

/** `lane` undefined or '': the event names no stream. `more`: headers beside its own. */
export function errorFrame(
  error: MillraceError,
  lane?: string,
  more?: Readonly<Record<string, string>>,
): Uint8Array {
  const { failure, details, code } = error;
  const event = {
    type: 'error',
    status: failure.status,
    ...(lane ? { stream_id: lane } : {}),
    error: { ...errorObject(error), ...headersOf(details['waitMs'], more) },
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

/** What HTTP would say in headers: SDKs look for them under `error.headers`. */
function headersOf(
  waitMs: string | number | undefined,
  more: Readonly<Record<string, string>> | undefined,
): object {
  if (typeof waitMs !== 'number') return more ? { headers: more } : {};
  const seconds = String(Math.max(1, Math.ceil(waitMs / 1000)));
  const after = { 'retry-after': seconds, 'retry-after-ms': String(Math.ceil(waitMs)) };
  return { headers: { ...after, ...more } };
}
