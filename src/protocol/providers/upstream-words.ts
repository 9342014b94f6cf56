/**
 * What an upstream says about its failure, made fit for our errors: one line, bounded, and without anything that looks like a key
 * (upstreams like to quote the key they refuse).
 */
import { asArray, asJson, asObject, asText, type JsonObject } from './json-value.ts';

const REASON_LENGTH_MAX = 300;
/** Looked at before cleaning, so that a long body costs no more than a short one. */
const LOOKED_AT_MAX = 2000;

/** Prefixed keys of the known vendors, bearer tokens, and bare runs of 32 and more letters and digits. */
const secrets = [
  /\bsk[-_][A-Za-z0-9_\-*.]{3,}/gi,
  // These prefixes begin ordinary words too: a key has a digit.
  /\b(?:pk|rk|ak|key|xai|gsk|hf|nvapi|tgp|pplx|api)[-_](?=[A-Za-z_\-*.]{0,60}\d)[A-Za-z0-9_\-*.]{6,}/gi,
  /\bAIza[A-Za-z0-9_-]{8,}/g,
  /\bBearer\s+[^\s"',;]+/gi,
  /[A-Za-z0-9+/_]{32,}={0,2}/g,
];

/** One line of at most 300 characters without keys. `apiKey` is ours at that upstream, where the caller knows it. */
export function reasonOf(text: string, apiKey?: string): string {
  let line = text.slice(0, LOOKED_AT_MAX);
  if (apiKey !== undefined && apiKey !== '') line = line.replaceAll(apiKey, '***');
  for (const secret of secrets) line = line.replace(secret, '***');
  line = line.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\s]+/gu, ' ').trim();
  if (line.length > REASON_LENGTH_MAX) line = `${line.slice(0, REASON_LENGTH_MAX - 1)}…`;
  return line === '' ? 'no reason given' : line;
}

/** The words and marks of an error object, in whichever of the usual shapes it came. */
export interface UpstreamWords {
  readonly message: string;
  /** Lower case: `type` and `code` joined, to look for words in. */
  readonly marks: string;
  /** A numeric code that is an HTTP status, else 0. */
  readonly status: number;
}

/** `{"error":{…}}`, `{"error":"…"}`, `{"message":…}`, `{"detail":…}`, and arrays of one of these. */
export function wordsOf(body: unknown): UpstreamWords | undefined {
  const outer = asObject(asArray(body)?.[0] ?? body);
  if (outer === undefined) return undefined;
  const inner = asObject(outer['error']);
  if (inner !== undefined) return wordsOfObject(inner);
  const words = wordsOfObject(outer);
  const message = asText(outer['error']);
  return message === undefined ? words : { ...words, message };
}

function wordsOfObject(error: JsonObject): UpstreamWords {
  const detail = error['detail'];
  const message =
    asText(error['message']) ??
    asText(detail) ??
    (detail === undefined || detail === null ? '' : (asJson(detail) ?? ''));
  const code = error['code'] ?? error['status'];
  const number = typeof code === 'string' ? Number(code) : code;
  return {
    message,
    marks: `${word(error['type'])} ${word(code)}`.toLowerCase(),
    status: typeof number === 'number' && number >= 400 && number <= 599 ? number : 0,
  };
}

function word(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 100) : '';
}
