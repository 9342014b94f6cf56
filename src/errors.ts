/**
 * Every way millrace fails: whether trying again helps, what a client sees, and one sentence.
 * The table is the only source: the class, the wire form between threads and docs/ERRORS.md
 * follow from it. A code is never reused; a retired one stays, marked so.
 */

/** What trying again would bring: nothing, something later, or something at another upstream. */
export type Retry = 'never' | 'later' | 'elsewhere';

export interface Failure {
  readonly retry: Retry;
  /** WebSocket close code, where the failure ends the session (RFC 6455 section 7.4). */
  readonly close?: number;
  /** HTTP status before the upgrade and in the dialects' error objects. */
  readonly status: number;
  /** The dialects' `error.type` word, as OpenAI's clients know it. */
  readonly type?: string;
  /** The dialects' `error.code` word; absent: the code itself in lower case without its prefix. */
  readonly word?: string;
  /** One sentence with `{slots}`. */
  readonly text: string;
}

const bad = 'invalid_request_error';

export const failures = {
  // The operator's mistakes, found at start.
  MILLRACE_OPTION_INVALID: { retry: 'never', status: 500, text: '{problems}' },
  MILLRACE_CONFIG_UNREADABLE: {
    retry: 'never',
    status: 500,
    text: 'cannot read the configuration {file}: {reason}',
  },
  MILLRACE_CONFIG_UNWRITABLE: {
    retry: 'never',
    status: 500,
    text: 'cannot write the configuration {file}: {reason}',
  },
  MILLRACE_OPTION_FIXED: { retry: 'never', status: 500, text: '{problems}' },
  MILLRACE_UPSTREAM_ROWS_FULL: {
    retry: 'later',
    status: 503,
    text: 'too many removed upstreams still run streams for {needed} new ones; try again when some have ended',
  },
  MILLRACE_PORT_TAKEN: {
    retry: 'later',
    status: 500,
    text: '{host}:{port} is taken by another process; choose another port or stop it',
  },
  MILLRACE_LISTEN_FAILED: {
    retry: 'never',
    status: 500,
    text: 'cannot listen on {host}:{port}: {reason}',
  },
  MILLRACE_BACKEND_UNAVAILABLE: {
    retry: 'never',
    status: 500,
    text: 'the server backend {backend} cannot be loaded: {reason}',
  },
  MILLRACE_TLS_INVALID: {
    retry: 'never',
    status: 500,
    text: 'cannot speak TLS: {reason}',
  },
  MILLRACE_START_FAILED: {
    retry: 'later',
    status: 500,
    text: 'the {thread} thread did not become ready: {reason}',
  },
  MILLRACE_STARTED: {
    retry: 'never',
    status: 500,
    text: '{what} must come before the engine starts',
  },
  MILLRACE_PATH_INVALID: {
    retry: 'never',
    status: 500,
    text: 'a path starts with / and has no query, fragment or blank, got {path}',
  },
  MILLRACE_PATH_TAKEN: {
    retry: 'never',
    status: 500,
    text: 'the path {path} is taken by {holder}; choose another one',
  },
  MILLRACE_METRICS_TAKEN: {
    retry: 'never',
    status: 500,
    text: 'the registry already has a metric {name}: one engine per registry',
  },
  MILLRACE_LIMIT_INVALID: {
    retry: 'never',
    status: 500,
    text: 'limit: {option} must be {expected}, got {got}',
  },
  MILLRACE_MODULE_UNUSABLE: {
    retry: 'never',
    status: 500,
    text: 'the {kind} module {path} cannot be used: {reason}',
  },

  // Codecs: bytes that are compressed, or shall be.
  MILLRACE_CODEC_UNAVAILABLE: {
    retry: 'never',
    status: 501,
    text: 'nothing here serves {codec}: {reason}',
  },
  MILLRACE_CODEC_LEVEL_INVALID: {
    retry: 'never',
    status: 500,
    text: 'the level of {codec} must be a whole number from {min} to {max}, got {got}',
  },
  MILLRACE_COMPRESSED_INVALID: {
    retry: 'never',
    close: 1007,
    status: 400,
    type: bad,
    word: 'invalid_compressed_data',
    text: 'this is no {codec} data: {reason}',
  },
  MILLRACE_INFLATED_TOO_LARGE: {
    retry: 'never',
    close: 1009,
    status: 413,
    type: bad,
    word: 'payload_too_large',
    text: 'the data decompresses to more than {max} bytes',
  },

  // Accept: before the upgrade.
  MILLRACE_HOST_FORBIDDEN: {
    retry: 'never',
    status: 403,
    type: bad,
    text: 'this Host is not served here; add it to server.allowedHosts',
  },
  MILLRACE_ORIGIN_FORBIDDEN: {
    retry: 'never',
    status: 403,
    type: bad,
    text: 'this Origin is not allowed; add it to server.allowedOrigins',
  },
  MILLRACE_HANDSHAKE_INVALID: {
    retry: 'never',
    status: 400,
    type: bad,
    text: 'not a WebSocket handshake: {reason}',
  },
  MILLRACE_VERSION_UNSUPPORTED: {
    retry: 'never',
    status: 426,
    type: bad,
    text: 'WebSocket version 13 is required',
  },
  MILLRACE_UPGRADE_REQUIRED: {
    retry: 'never',
    status: 426,
    type: bad,
    word: 'websocket_upgrade_required',
    text: 'this path speaks WebSocket: send an upgrade request',
  },
  MILLRACE_PATH_UNKNOWN: {
    retry: 'never',
    status: 404,
    type: bad,
    text: 'nothing is served at this path',
  },
  MILLRACE_METHOD_UNSUPPORTED: {
    retry: 'never',
    status: 405,
    type: bad,
    text: 'this method is not served at this path',
  },
  MILLRACE_CONTENT_UNSUPPORTED: {
    retry: 'never',
    status: 415,
    type: bad,
    word: 'unsupported_media_type',
    text: 'the body must be plain application/json, got {got}',
  },
  MILLRACE_KEY_MISSING: {
    retry: 'never',
    status: 401,
    type: bad,
    word: 'missing_api_key',
    text: 'an API key is required: send Authorization: Bearer KEY',
  },
  MILLRACE_KEY_INVALID: {
    retry: 'never',
    status: 401,
    type: bad,
    word: 'invalid_api_key',
    text: 'the API key is not valid here',
  },
  MILLRACE_PATH_FORBIDDEN: {
    retry: 'never',
    status: 403,
    type: bad,
    text: 'this API key may not use this path',
  },
  MILLRACE_AUTH_LIMITED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    text: 'too many failed keys from this address; try again in {waitMs} ms',
  },
  MILLRACE_TICKET_INVALID: {
    retry: 'never',
    status: 401,
    type: bad,
    text: 'the ticket is unknown, used or too old: ask for a new one',
  },
  MILLRACE_TICKETS_EXHAUSTED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    text: '{max} tickets wait to be used; use them, or try again in a moment',
  },
  MILLRACE_KEY_REVOKED: {
    retry: 'never',
    close: 1008,
    status: 401,
    type: bad,
    word: 'invalid_api_key',
    text: 'the API key is no longer valid here',
  },
  MILLRACE_KEY_EXHAUSTED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    text: 'this API key already holds {max} sessions',
  },
  MILLRACE_BUSY: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    word: 'server_is_overloaded',
    text: 'millrace is at its {bound} bound and takes no new connections; try again in {waitMs} ms',
  },
  MILLRACE_SESSIONS_EXHAUSTED: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'all {max} sessions are taken; try again in a moment',
  },
  MILLRACE_ADDRESS_EXHAUSTED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    text: 'this address already holds {max} sessions',
  },
  MILLRACE_HANDSHAKES_LIMITED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    text: 'too many handshakes; try again in {waitMs} ms',
  },
  MILLRACE_AUTH_REFUSED: {
    retry: 'never',
    status: 401,
    type: bad,
    word: 'access_refused',
    text: '{reason}',
  },
  MILLRACE_HOOK_FAILED: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'the {hook} hook gave no answer; try again in a moment',
  },

  // Admit: one client message.
  MILLRACE_MESSAGE_TOO_LARGE: {
    retry: 'never',
    close: 1009,
    status: 413,
    type: bad,
    word: 'payload_too_large',
    text: 'a message may have {max} bytes',
  },
  MILLRACE_MESSAGE_NOT_TEXT: {
    retry: 'never',
    close: 1003,
    status: 400,
    type: bad,
    text: 'this path takes text messages only',
  },
  MILLRACE_TEXT_INVALID: {
    retry: 'never',
    close: 1007,
    status: 400,
    type: bad,
    text: 'a text message was not valid UTF-8',
  },
  MILLRACE_JSON_INVALID: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'invalid_json',
    text: 'the message is not valid JSON: {reason}',
  },
  MILLRACE_EVENT_UNKNOWN: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'unknown_event',
    text: 'unknown event type {got}; expected {expected}',
  },
  MILLRACE_FIELD_INVALID: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'invalid_value',
    text: '{path} must be {expected}, got {got}',
  },
  MILLRACE_FIELD_UNSUPPORTED: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'unsupported_parameter',
    text: '{path} is not supported: {reason}',
  },
  MILLRACE_LANE_INVALID: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'invalid_stream_id',
    text: 'stream_id must be 1 to 256 characters of A-Z a-z 0-9 _ . -',
  },
  MILLRACE_LANES_EXHAUSTED: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'websocket_stream_limit_reached',
    text: 'a connection may name at most {max} streams',
  },
  MILLRACE_QUEUE_FULL: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    word: 'websocket_queue_full',
    text: '{max} requests already wait on this connection',
  },
  MILLRACE_PREVIOUS_NOT_FOUND: {
    retry: 'never',
    status: 400,
    type: bad,
    word: 'previous_response_not_found',
    text: "Previous response with id '{id}' not found.",
  },
  MILLRACE_RESPONSE_NOT_FOUND: {
    retry: 'never',
    status: 404,
    type: bad,
    word: 'response_not_found',
    text: 'no running response matches',
  },
  MILLRACE_MODEL_NOT_FOUND: {
    retry: 'never',
    status: 404,
    type: bad,
    word: 'model_not_found',
    text: "The model '{model}' does not exist here. Available: {available}.",
  },
  MILLRACE_OVERLOADED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    word: 'server_is_overloaded',
    text: 'millrace is at its {bound} bound; try again in {waitMs} ms',
  },
  MILLRACE_RATE_LIMITED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    word: 'rate_limit_exceeded',
    text: 'Rate limit exceeded; try again in {waitMs} ms',
  },
  MILLRACE_BUDGET_EXCEEDED: {
    retry: 'later',
    status: 429,
    type: 'rate_limit_error',
    word: 'rate_limit_exceeded',
    text: 'Rate limit exceeded ({scope}); try again in {waitMs} ms',
  },
  MILLRACE_DRAINING: {
    retry: 'elsewhere',
    close: 1012,
    status: 503,
    type: 'server_error',
    text: 'millrace is shutting down; connect again',
  },

  // Stream: upstreams.
  MILLRACE_UPSTREAM_NONE: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'no upstream for {model} is available',
  },
  MILLRACE_UPSTREAM_BUSY: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'every upstream for {model} is at its limit, and no place came free within {waitMs} ms',
  },
  MILLRACE_UPSTREAM_REFUSED: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} refused the connection: {reason}',
  },
  MILLRACE_UPSTREAM_RESET: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} closed the connection: {reason}',
  },
  MILLRACE_UPSTREAM_STATUS: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} answered {upstreamStatus}: {reason}',
  },
  MILLRACE_UPSTREAM_REJECTED: {
    retry: 'never',
    status: 400,
    type: bad,
    text: 'upstream {upstream} rejected the request ({upstreamStatus}): {reason}',
  },
  MILLRACE_UPSTREAM_LIMITED: {
    retry: 'elsewhere',
    status: 429,
    type: 'rate_limit_error',
    word: 'rate_limit_exceeded',
    text: 'upstream {upstream} limits the rate; try again in {waitMs} ms',
  },
  MILLRACE_UPSTREAM_ERROR: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} reported an error in its stream: {reason}',
  },
  MILLRACE_UPSTREAM_MALFORMED: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} sent something that is not its protocol: {reason}',
  },
  MILLRACE_UPSTREAM_TRUNCATED: {
    retry: 'elsewhere',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} ended its stream before it was complete',
  },
  MILLRACE_UPSTREAM_CONNECT_TIMEOUT: {
    retry: 'elsewhere',
    status: 504,
    type: 'server_error',
    text: 'upstream {upstream} did not answer within {limitMs} ms',
  },
  MILLRACE_UPSTREAM_FIRST_TIMEOUT: {
    retry: 'elsewhere',
    status: 504,
    type: 'server_error',
    text: 'upstream {upstream} sent nothing within {limitMs} ms',
  },
  MILLRACE_UPSTREAM_GAP_TIMEOUT: {
    retry: 'elsewhere',
    status: 504,
    type: 'server_error',
    text: 'upstream {upstream} went silent for {limitMs} ms',
  },
  MILLRACE_UPSTREAM_SLOW: {
    retry: 'elsewhere',
    status: 504,
    type: 'server_error',
    text: 'upstream {upstream} brought fewer than {minPerSecond} deltas per second over {windowMs} ms',
  },
  MILLRACE_UPSTREAM_TOO_LARGE: {
    retry: 'never',
    status: 502,
    type: 'server_error',
    text: 'upstream {upstream} sent an event above {max} bytes',
  },
  MILLRACE_OUTPUT_TOO_LARGE: {
    retry: 'never',
    status: 502,
    type: 'server_error',
    text: 'the answer grew above {max} bytes',
  },
  MILLRACE_DEADLINE: {
    retry: 'later',
    status: 504,
    type: 'server_error',
    text: 'the request did not finish its attempts within {limitMs} ms',
  },
  MILLRACE_CANCELLED: {
    retry: 'never',
    status: 499,
    type: 'cancelled',
    text: 'the request was cancelled',
  },
  MILLRACE_REQUEST_REFUSED: {
    retry: 'never',
    status: 403,
    type: bad,
    word: 'request_refused',
    text: '{reason}',
  },
  MILLRACE_ROUTE_FAILED: {
    retry: 'never',
    status: 500,
    type: 'server_error',
    text: 'the handler of this route failed',
  },

  // Sessions that are carried on to a WebSocket back end.
  MILLRACE_PROXY_NONE: {
    retry: 'later',
    close: 1013,
    status: 503,
    text: 'no back end takes a connection now',
  },
  MILLRACE_PROXY_LOST: {
    retry: 'later',
    close: 1014,
    status: 502,
    text: 'the back end was lost',
  },
  MILLRACE_PROXY_UNREPEATABLE: {
    retry: 'later',
    close: 1014,
    status: 502,
    text: 'the back end was lost before it said anything, and more than {max} bytes had been sent to it',
  },
  MILLRACE_PROXY_TOO_LARGE: {
    retry: 'never',
    close: 1009,
    status: 502,
    text: 'the back end sent a message above {max} bytes',
  },
  MILLRACE_PROXY_FULL: {
    retry: 'later',
    close: 1013,
    status: 503,
    text: 'more than {max} bytes wait for the back end',
  },
  MILLRACE_PROXY_STALLED: {
    retry: 'later',
    close: 1013,
    status: 504,
    text: 'the back end did not read for {limitMs} ms',
  },
  MILLRACE_PROXY_IDLE: {
    retry: 'later',
    close: 1001,
    status: 408,
    text: 'nothing was said for {limitMs} ms',
  },
  MILLRACE_PROXY_AGED: {
    retry: 'later',
    close: 1012,
    status: 408,
    text: 'the session has lasted {limitMs} ms; connect again',
  },

  // Deliver.
  MILLRACE_CLIENT_SLOW: {
    retry: 'later',
    close: 1013,
    status: 408,
    text: 'the client did not read for {limitMs} ms',
  },
  MILLRACE_SOCKET_FULL: {
    retry: 'later',
    close: 1013,
    status: 408,
    text: 'more than {max} bytes wait for the client',
  },
  MILLRACE_CLIENT_SILENT: {
    retry: 'later',
    close: 1001,
    status: 408,
    text: 'no sign of life from the client for {limitMs} ms',
  },
  MILLRACE_SESSION_GONE: { retry: 'never', status: 410, text: 'the session is closed' },

  // The parts.
  MILLRACE_STREAM_UNKNOWN: {
    retry: 'never',
    status: 404,
    text: 'no stream {id}: it never began, or it has ended',
  },
  MILLRACE_STREAMS_EXHAUSTED: {
    retry: 'later',
    status: 503,
    text: 'all {max} streams of this streamer are running',
  },

  // Our own threads.
  MILLRACE_WORKER_LOST: {
    retry: 'later',
    status: 500,
    type: 'server_error',
    text: 'a worker thread was lost while the answer was streaming',
  },
  MILLRACE_COORDINATOR_LOST: {
    retry: 'later',
    status: 500,
    type: 'server_error',
    text: 'the coordinator thread was lost: {reason}',
  },
  MILLRACE_POOL_FULL: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'the pool already has {max} connections',
  },
  MILLRACE_POOL_BUSY: {
    retry: 'later',
    status: 503,
    type: 'server_error',
    text: 'no connection of the pool came free within {waitMs} ms',
  },
  MILLRACE_POOL_CLOSED: {
    retry: 'never',
    status: 503,
    type: 'server_error',
    text: 'the pool is closed',
  },
  MILLRACE_CLOSED: {
    retry: 'never',
    status: 503,
    type: 'server_error',
    text: 'the engine is closed',
  },
  MILLRACE_INTERNAL: {
    retry: 'later',
    close: 1011,
    status: 500,
    type: 'server_error',
    text: 'an internal error: {reason}',
  },
} as const satisfies Record<string, Failure>;

export type Code = keyof typeof failures;

/** All codes in table order: a code's index is its metric dimension. */
export const codes = Object.keys(failures) as Code[];

type Slots<T extends string> = T extends `${string}{${infer S}}${infer R}` ? S | Slots<R> : never;
type SlotsOf<C extends Code> = Slots<(typeof failures)[C]['text']>;

/** What the sentence's slots need: a missing one does not compile. */
export type Details<C extends Code> = { readonly [K in SlotsOf<C>]: string | number };

/** The form that crosses threads: postMessage keeps an Error's text but drops class, code and details. */
export interface WireError {
  readonly code: Code;
  readonly details: Readonly<Record<string, string | number>>;
}

/** An operating error or a user's mistake. Match on `code`, never on class or text. */
export class MillraceError<C extends Code = Code> extends Error {
  override readonly name = 'MillraceError';
  readonly code: C;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: C, details: Details<C>, options?: ErrorOptions) {
    super(sentence(code, details), options);
    this.code = code;
    this.details = details;
  }

  /** The row of the table: retry advice, close code, status. */
  get failure(): Failure {
    return failures[this.code];
  }

  /** The dialects' `error.code` word. */
  get word(): string {
    return this.failure.word ?? this.code.slice('MILLRACE_'.length).toLowerCase();
  }

  toWire(): WireError {
    return { code: this.code, details: this.details };
  }

  /** Without it, `instanceof` would leave `code` open to any text. */
  static override [Symbol.hasInstance](value: unknown): value is MillraceError {
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }

  static fromWire(wire: WireError): MillraceError {
    return new MillraceError(wire.code, wire.details as Details<Code>);
  }
}

function sentence(code: Code, details: Readonly<Record<string, string | number>>): string {
  return failures[code].text.replace(/\{(\w+)\}/g, (_, slot: string) =>
    String(details[slot] ?? `{${slot}}`),
  );
}

/** Anything thrown, as one of ours: a `MillraceError` stays itself, everything else is internal. */
export function asMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new MillraceError('MILLRACE_INTERNAL', { reason }, { cause: thrown });
}
