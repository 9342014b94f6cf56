/** The API keys: whose request is this, and what may it do. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Rights } from '../threads/messages.ts';
import type { RequestHead } from './backend/backend.ts';

export const ANONYMOUS = 'anonymous';
/** How a browser, which cannot set headers, sends a key (the convention of OpenAI's Realtime API). */
export const KEY_PROTOCOL = 'openai-insecure-api-key.';

/** Who a request belongs to, and what that one may do. Never holds a key. */
export interface Identity {
  /** For limits and ownership: a hash of the key, `anonymous`, or what an application's own check says. */
  readonly principal: string;
  /** What the operator calls the key: for logs. */
  readonly keyName?: string;
  /** What the worker holds this one to. */
  readonly rights?: Rights;
  /** Dialects and paths it may use; absent: all. */
  readonly paths?: readonly string[];
  /** Sessions it may hold; absent: as many as there are. */
  readonly sessionsMax?: number;
  /** It came by a configured key, and goes when that key goes. */
  readonly byKey?: boolean;
  /** Whose user code let it in: its requests go there. */
  readonly worker?: number;
}

export interface Keyring {
  /** Some key is configured: without one nobody comes in. */
  readonly required: boolean;
  /** `wallMs`: keys expire. */
  identify(head: RequestHead, wallMs: number): Identity | MillraceError;
  /** What a principal's key allows now; undefined: it is gone, disabled or expired. */
  current(principal: string, wallMs: number): Identity | undefined;
}

type KeyOptions = Exclude<Options['keys'][number], string>;

interface Entry {
  readonly hash: Buffer;
  readonly identity: Identity;
  readonly disabled: boolean;
  readonly expiresMs: number;
}

const nobody: Identity = { principal: ANONYMOUS };

/** Keys are kept and compared as hashes, every one of them each time, the disabled too: the time tells nothing about a key. */
export function createKeyring(options: Options): Keyring {
  const entries = options.keys.map(entryOf);
  const byPrincipal = new Map(entries.map((entry) => [entry.identity.principal, entry]));
  const required = entries.length > 0;

  function identify(head: RequestHead, wallMs: number): Identity | MillraceError {
    if (!required) return nobody;
    const given = keyOf(head);
    if (given === undefined) return new MillraceError('MILLRACE_KEY_MISSING', {});
    const hash = sha256(given);
    let found: Entry | undefined;
    for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry;
    if (found === undefined || !holds(found, wallMs))
      return new MillraceError('MILLRACE_KEY_INVALID', {});
    return found.identity;
  }

  function current(principal: string, wallMs: number): Identity | undefined {
    const entry = byPrincipal.get(principal);
    return entry && holds(entry, wallMs) ? entry.identity : undefined;
  }

  return { required, identify, current };
}

/** What the operator calls the principals of its keys, and whose limits they have. */
export function namedPrincipals(
  keys: Options['keys'],
): { principal: string; name: string; tier: string | undefined }[] {
  const named = keys.flatMap((key) => (typeof key === 'string' ? [] : [key]));
  return named.map(({ key, name, tier }) => ({ principal: principalName(key), name, tier }));
}

function holds({ disabled, expiresMs }: Entry, wallMs: number): boolean {
  return !disabled && wallMs < expiresMs;
}

function entryOf(said: string | KeyOptions): Entry {
  const options = typeof said === 'string' ? undefined : said;
  const key = typeof said === 'string' ? said : said.key;
  const { name, models, tier, paths, sessionsMax, expiresAt } = options ?? {};
  const rights = { ...(models && { models }), ...(tier !== undefined && { tier }) };
  const identity: Identity = {
    principal: principalName(key),
    byKey: true,
    ...(name === undefined ? {} : { keyName: name }),
    ...(models === undefined && tier === undefined ? {} : { rights }),
    ...(paths === undefined ? {} : { paths }),
    ...(sessionsMax === undefined ? {} : { sessionsMax }),
  };
  const expiresMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt);
  return { hash: sha256(key), identity, disabled: options?.disabled ?? false, expiresMs };
}

/** The key a request shows. */
export function keyOf(head: RequestHead): string | undefined {
  const authorization = head.header('authorization');
  if (authorization !== undefined) return /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  const offered = offeredProtocols(head).find((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return offered?.slice(KEY_PROTOCOL.length) || undefined;
}

/** The subprotocols a client offers, those that are none left out. */
export function offeredProtocols(head: RequestHead): readonly string[] {
  const offered = head.header('sec-websocket-protocol');
  if (offered === undefined) return [];
  return offered
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => token.test(protocol));
}

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** A name for logs and limits: not a plain hash of the key, which would be worth looking up. */
function principalName(key: string): string {
  return createHmac('sha256', 'millrace principal').update(key).digest('hex').slice(0, 16);
}
