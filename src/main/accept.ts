/**
 * Who may connect: Host, path, Origin, rate, key, caps, in that order, before anything is stored for the client. Pure: the time is an argument.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { DialectName } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { Paths } from './paths.ts';
import { createSiteRules } from './sites.ts';

export type AcceptVerdict =
  | {
      readonly kind: 'session';
      readonly dialect: DialectName;
      readonly principal: string;
      /** The subprotocol to answer with, one of those offered. */
      readonly protocol?: string;
    }
  | { readonly kind: 'refuse'; readonly error: MillraceError; readonly reply: HttpReply };

export interface Accept {
  decide(head: RequestHead, nowMs: number, openSessions: number): AcceptVerdict;
  /** For plain requests: is the Host one of ours? A page that rebinds its name to our address is refused here. */
  checkHost(head: RequestHead): MillraceError | undefined;
  /** A session of this address began. */
  opened(address: string): void;
  closed(address: string): void;
}

export function createAccept(options: Options, paths = new Paths(options.paths)): Accept {
  const sites = createSiteRules(options.server);
  const principalOf = options.demo.enabled ? () => ANONYMOUS : createKeyring(options.keys);
  const rate = createRate(options.server.handshakesPerSecondMax);
  const addresses = createAddressCount();
  const { sessionsMax, sessionsPerAddressMax } = options.server;

  function decide(head: RequestHead, nowMs: number, openSessions: number): AcceptVerdict {
    const site = sites.checkHost(head);
    if (site) return refuse(site);
    const dialect = paths.dialectOf(head.path);
    if (dialect === undefined) return refuse(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (!sites.originAllowed(head))
      return refuse(new MillraceError('MILLRACE_ORIGIN_FORBIDDEN', {}));
    const waitMs = rate.take(nowMs);
    if (waitMs > 0) {
      const error = new MillraceError('MILLRACE_HANDSHAKES_LIMITED', { waitMs: Math.ceil(waitMs) });
      return refuse(error, waitMs);
    }
    const protocols = protocolsOf(head);
    const principal = principalOf(head, protocols);
    if (principal instanceof MillraceError) return refuse(principal);
    if (openSessions >= sessionsMax)
      return refuse(new MillraceError('MILLRACE_SESSIONS_EXHAUSTED', { max: sessionsMax }), 1_000);
    if (addresses.held(head.address) >= sessionsPerAddressMax) {
      const error = new MillraceError('MILLRACE_ADDRESS_EXHAUSTED', { max: sessionsPerAddressMax });
      return refuse(error, 1_000);
    }
    const protocol = answeredProtocol(protocols);
    return { kind: 'session', dialect, principal, ...(protocol === undefined ? {} : { protocol }) };
  }

  return {
    decide,
    checkHost: sites.checkHost,
    opened: addresses.opened,
    closed: addresses.closed,
  };
}

function refuse(error: MillraceError, retryAfterMs?: number): AcceptVerdict {
  return { kind: 'refuse', error, reply: refusal(error, retryAfterMs) };
}

/** The HTTP answer of an error, in the shape that OpenAI's clients read. Ends the connection. */
export function refusal(error: MillraceError, retryAfterMs?: number): HttpReply {
  const { status, type = 'server_error' } = error.failure;
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    Connection: 'close',
  };
  if (retryAfterMs !== undefined)
    headers['Retry-After'] = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  if (status === 426) {
    headers['Upgrade'] = 'websocket';
    headers['Sec-WebSocket-Version'] = '13';
  }
  const body = { error: { message: error.message, type, code: error.word, param: null } };
  return { status, headers, body: JSON.stringify(body) };
}

// Keys.

const ANONYMOUS = 'anonymous';
/** How a browser, which cannot set headers, sends a key (the convention of OpenAI's Realtime API). */
const KEY_PROTOCOL = 'openai-insecure-api-key.';

type Keyring = (head: RequestHead, protocols: readonly string[]) => string | MillraceError;

/** Keys are kept and compared as hashes, every one of them each time: the time tells nothing about a key. */
function createKeyring(keys: readonly string[]): Keyring {
  if (keys.length === 0) return () => ANONYMOUS;
  const known = keys.map((key) => ({ hash: sha256(key), principal: principalName(key) }));
  return (head, protocols) => {
    const given = keyOf(head, protocols);
    if (given === undefined) return new MillraceError('MILLRACE_KEY_MISSING', {});
    const hash = sha256(given);
    let principal: string | undefined;
    for (const key of known) if (timingSafeEqual(key.hash, hash)) principal = key.principal;
    return principal ?? new MillraceError('MILLRACE_KEY_INVALID', {});
  };
}

function keyOf(head: RequestHead, protocols: readonly string[]): string | undefined {
  const authorization = head.header('authorization');
  if (authorization !== undefined) return /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  const offered = protocols.find((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return offered?.slice(KEY_PROTOCOL.length) || undefined;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** A name for logs and limits: not a plain hash of the key, which would be worth looking up. */
function principalName(key: string): string {
  return createHmac('sha256', 'millrace principal').update(key).digest('hex').slice(0, 16);
}

// Subprotocols.

function protocolsOf(head: RequestHead): readonly string[] {
  const offered = head.header('sec-websocket-protocol');
  if (offered === undefined) return [];
  return offered
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => token.test(protocol));
}

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/**
 * No subprotocol means anything to millrace, but a browser that offered some fails without an answer. The first that carries no key; a key
 * goes back only to a client that offered nothing else.
 */
function answeredProtocol(protocols: readonly string[]): string | undefined {
  return protocols.find((protocol) => !protocol.startsWith(KEY_PROTOCOL)) ?? protocols[0];
}

// Caps.

/** A bucket of one second's handshakes. `take`: 0, or how long to wait. */
function createRate(perSecond: number): { take(nowMs: number): number } {
  let tokens = perSecond;
  let lastMs = Number.NaN;
  return {
    take(nowMs) {
      const elapsedMs = Math.max(0, nowMs - lastMs) || 0; // a clock that went back gives nothing
      tokens = Math.min(perSecond, tokens + (elapsedMs * perSecond) / 1_000);
      lastMs = nowMs;
      if (tokens < 1) return ((1 - tokens) * 1_000) / perSecond;
      tokens--;
      return 0;
    },
  };
}

interface AddressCount {
  readonly held: (address: string) => number;
  readonly opened: (address: string) => void;
  readonly closed: (address: string) => void;
}

/** Sessions per address; at most as many entries as there are sessions. Loopback is not counted. */
function createAddressCount(): AddressCount {
  const held = new Map<string, number>();
  return {
    held: (address) => held.get(network(address)) ?? 0,
    opened(address) {
      if (isLoopback(address)) return;
      const key = network(address);
      held.set(key, (held.get(key) ?? 0) + 1);
    },
    closed(address) {
      const key = network(address);
      const left = (held.get(key) ?? 0) - 1;
      if (left > 0) held.set(key, left);
      else held.delete(key);
    },
  };
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** An IPv6 host owns a /64: its first four groups count as one address. */
function network(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return groups.slice(0, 4).join(':');
}
