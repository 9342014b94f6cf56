/** The log: one JSON line per event on standard output. Keys, tokens and what clients wrote never appear in it. */
import { type DestinationStream, destination, pino } from 'pino';
import type { Options } from '../options/schema.ts';
import { prettyStream } from './pretty.ts';

/** What the engine needs of a logger; a pino instance is one too. */
export interface Log {
  debug(facts: object, text: string): void;
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
  error(facts: object, text: string): void;
  /** Follows changed options; a log that the application brought along has its own. */
  reconfigure?(options: Options['log']): void;
}

type LogOptions = Pick<Options['log'], 'level'> & Partial<Options['log']>;

/** Lines waiting for a standard output that nobody reads; beyond this they are dropped rather than kept. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/** `stream` is for tests and embedders; standard output otherwise, never blocking the loop and flushed at exit. */
export function createLog(options: LogOptions, stream?: DestinationStream): Log {
  const settings = {
    level: options.level,
    base: { name: 'millrace' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (level: string) => ({ level }),
      log: (facts: object) => redact(facts, 0) as Record<string, unknown>,
    },
  };
  const out = stream ?? destination({ dest: 1, sync: false, maxLength: WAITING_BYTES_MAX });
  const { format = 'auto' } = options;
  // A stream that was handed in is nobody's terminal.
  const isPretty = format === 'pretty' || (format === 'auto' && !stream && process.stdout.isTTY);
  const log = pino(settings, isPretty ? prettyStream(out) : out);
  const follow = ({ level }: LogOptions) => void (log.level = level);
  return Object.assign(log, { reconfigure: follow });
}

/** A log for embedders who gave none. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

const HIDDEN = '[hidden]';
const DEPTH_MAX = 6;
const secretNames: ReadonlySet<string> = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'apikey',
  'xapikey',
  'keys',
  'token',
  'secret',
  'password',
]);

/** A copy without secrets: by the name of a key at any depth, and by the look of a text. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEPTH_MAX) return '[deeper]';
  if (value instanceof Error) return redact(errorFacts(value), depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((below) => redact(below, depth + 1));
  if (value instanceof Map) return redact(Object.fromEntries(value), depth);
  const copy: Record<string, unknown> = {};
  for (const [key, below] of Object.entries(value)) {
    copy[key] = isSecretName(key) ? HIDDEN : redact(below, depth + 1);
  }
  return copy;
}

/** Names seen so far: the same few come with every line. */
const judged = new Map<string, boolean>();
const JUDGED_MAX = 1_000;

function isSecretName(key: string): boolean {
  const known = judged.get(key);
  if (known !== undefined) return known;
  const secret = secretNames.has(key.toLowerCase().replaceAll(/[-_]/g, ''));
  if (judged.size < JUDGED_MAX) judged.set(key, secret);
  return secret;
}

/** Nothing below can match without one of these. */
const suspicious = /bearer|basic|(?:sk|pk|rk|xai|gsk)-|\/\//i;
const bearer = /\b(Bearer|Basic)\s+[^\s"',]+/gi;
/** The key forms of the large providers, wherever an upstream may have quoted one back. */
const knownKeys = /\b(sk|pk|rk|xai|gsk)-[A-Za-z0-9_-]{8,}/g;
const credentials = /\/\/[^/@\s]+@/g;

/** Without what looks like a secret. */
export function redactText(text: string): string {
  if (!suspicious.test(text)) return text;
  return text
    .replaceAll(bearer, `$1 ${HIDDEN}`)
    .replaceAll(knownKeys, HIDDEN)
    .replaceAll(credentials, `//${HIDDEN}@`);
}

function errorFacts(error: Error): object {
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  };
}
