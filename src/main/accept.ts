/**
 * Who may connect: Host, path, Origin, rate, key, rights, caps, in that order, before anything is stored for the client. Pure: the time is an argument.
 */
import { randomFillSync } from 'node:crypto';
import { type Agreement, ENCODING_PROTOCOL } from '../codec/negotiate.ts';
import { MillraceError } from '../errors.ts';
import type { DialectName } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import type { Rights } from '../threads/messages.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { trustedPeers } from './backend/trusted-peers.ts';
import { createRate, Failures, Held, isLoopback, network } from './caps.ts';
import { agreeOn, type Encodings, noEncodings } from './encodings.ts';
import { clientAddress } from './forwarded.ts';
import {
  ANONYMOUS,
  createKeyring,
  type Identity,
  KEY_PROTOCOL,
  offeredProtocols,
} from './keyring.ts';
import type { Paths } from './paths.ts';
import { servedPaths } from './served-paths.ts';
import { createSiteRules } from './sites.ts';
import { type Ticket, Tickets } from './tickets.ts';

export type AcceptVerdict =
  | {
      readonly kind: 'session';
      readonly dialect: DialectName;
      readonly principal: string;
      readonly keyName?: string;
      readonly rights?: Rights;
      readonly byKey?: boolean;
      readonly worker?: number;
      /** The subprotocol to answer with, one of those offered. */
      readonly protocol?: string;
      /** What came of its wishes for an encoding; absent: it had none. */
      readonly agreement?: Agreement;
    }
  | { readonly kind: 'refuse'; readonly error: MillraceError; readonly reply: HttpReply };

/** Now, or later where somebody else is asked. */
export type Soon<T> = T | Promise<T>;

/**
 * An application's own check, beside the keyring: gets what the keyring found, and its answer stands. A rejection refuses the request
 * as an internal error.
 */
export type Authenticate = (
  head: RequestHead,
  found: Identity | MillraceError,
) => Soon<Identity | MillraceError>;

export interface AcceptParts {
  readonly authenticate?: Authenticate;
  /** Keys expire by the wall clock, milliseconds. */
  readonly wall?: () => number;
  /** With what the application adds; absent: the options' own. */
  readonly paths?: Paths;
  /** Asked about each handshake of an address: 0, or how long it has to wait. */
  readonly arrives?: (address: string, nowMs: number) => number;
  readonly encodings?: Encodings;
  /** Unguessable bytes, for tickets. */
  readonly fill?: (bytes: Uint8Array) => void;
}

export interface Accept {
  /** A handshake, or a POST that is answered in pieces. A promise only where `authenticate` answers later. */
  decide(head: RequestHead, nowMs: number, openSessions: number): Soon<AcceptVerdict>;
  /**
   * A plain request: whose is it? Checks Origin, key, and the right to its path (and to the dialect it speaks, where it speaks one). The caller
   * has checked Host. The error's answer is `refusal(error)`.
   */
  identify(head: RequestHead, nowMs: number, dialect?: DialectName): Soon<Identity | MillraceError>;
  /** The request as the client's own, where proxies stand between: its address is the client's. Asked first of all. */
  locate(head: RequestHead): RequestHead;
  /** Are keys asked for, so that tickets make sense? */
  readonly issuesTickets: boolean;
  /** For plain requests: may a page of this Origin ask? */
  originAllowed(head: RequestHead): boolean;
  /** A ticket for whose key the request shows. The caller has checked Host and Origin. */
  issueTicket(head: RequestHead, nowMs: number): Soon<Ticket | MillraceError>;
  /** For plain requests: is the Host one of ours? A page that rebinds its name to our address is refused here. */
  checkHost(head: RequestHead): MillraceError | undefined;
  /** May this session stay? Not when its key is gone, disabled or expired. */
  stillHolds(admitted: { readonly principal: string; readonly byKey?: boolean }): boolean;
  /** A session of this address and principal began. */
  opened(address: string, principal?: string): void;
  closed(address: string, principal?: string): void;
  /** Other keys, rights, names and caps from here on. Sessions that lose their key: `stillHolds`. */
  reconfigure(options: Options): void;
}

export function createAccept(options: Options, parts: AcceptParts = {}): Accept {
  return new Door(options, parts);
}

type Found = Identity | MillraceError;

class Door implements Accept {
  readonly #authenticate: Authenticate | undefined;
  readonly #wall: () => number;
  readonly #paths: Paths;
  readonly #encodings: Encodings;
  readonly #addresses = new Held();
  readonly #principals = new Held();
  readonly #failures = new Failures();
  readonly #tickets: Tickets;
  readonly #arrives: AcceptParts['arrives'];
  #rules: Rules;

  constructor(options: Options, parts: AcceptParts) {
    const { authenticate, wall = Date.now, paths, fill = randomFillSync } = parts;
    this.#encodings = parts.encodings ?? noEncodings;
    this.#authenticate = authenticate;
    this.#wall = wall;
    this.#arrives = parts.arrives;
    this.#tickets = new Tickets(fill);
    this.#paths = paths ?? servedPaths(options);
    this.#rules = rulesOf(options);
  }

  decide(head: RequestHead, nowMs: number, openSessions: number): Soon<AcceptVerdict> {
    const { sites, rate } = this.#rules;
    const site = sites.checkHost(head);
    if (site) return refuse(site);
    const dialect =
      head.method === 'POST' ? this.#paths.postOf(head.path) : this.#paths.dialectOf(head.path);
    if (dialect === undefined) return refuse(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (!sites.originAllowed(head))
      return refuse(new MillraceError('MILLRACE_ORIGIN_FORBIDDEN', {}));
    const waitMs = rate.take(nowMs);
    if (waitMs > 0) {
      const error = new MillraceError('MILLRACE_HANDSHAKES_LIMITED', { waitMs: Math.ceil(waitMs) });
      return refuse(error, waitMs);
    }
    const restMs = this.#arrives?.(head.address, nowMs) ?? 0;
    if (restMs > 0) {
      const error = new MillraceError('MILLRACE_RATE_LIMITED', { waitMs: Math.ceil(restMs) });
      return refuse(error, restMs);
    }
    const found = this.#authenticated(head, nowMs, this.#ticketOf(head));
    if (!(found instanceof Promise)) return this.#admit(head, dialect, found, openSessions);
    return found.then((settled) => this.#admit(head, dialect, settled, openSessions));
  }

  identify(head: RequestHead, nowMs: number, dialect?: DialectName): Soon<Found> {
    if (!this.#rules.sites.originAllowed(head))
      return new MillraceError('MILLRACE_ORIGIN_FORBIDDEN', {});
    const may = (found: Found) =>
      found instanceof MillraceError ? found : (checkPath(found, head.path, dialect) ?? found);
    const found = this.#authenticated(head, nowMs);
    return found instanceof Promise ? found.then(may) : may(found);
  }

  locate(head: RequestHead): RequestHead {
    const { server, trusts } = this.#rules;
    if (server.trustedProxies.length === 0) return head;
    const address = clientAddress(head, server.forwardedHeader, trusts);
    return { ...head, header: (name) => head.header(name), address };
  }

  get issuesTickets(): boolean {
    return this.#rules.keyring.required || this.#authenticate !== undefined;
  }

  originAllowed(head: RequestHead): boolean {
    return this.#rules.sites.originAllowed(head);
  }

  issueTicket(head: RequestHead, nowMs: number): Soon<Ticket | MillraceError> {
    const issue = (found: Found): Ticket | MillraceError => {
      if (found instanceof MillraceError) return found;
      const ticket = this.#tickets.issue(found, this.#rules.tickets, nowMs);
      return ticket instanceof MillraceError
        ? ticket
        : { ticket, ttlMs: this.#rules.tickets.ttlMs };
    };
    const found = this.#authenticated(head, nowMs);
    return found instanceof Promise ? found.then(issue) : issue(found);
  }

  checkHost(head: RequestHead): MillraceError | undefined {
    return this.#rules.sites.checkHost(head);
  }

  stillHolds({ principal, byKey }: Pick<Identity, 'principal' | 'byKey'>): boolean {
    const { keyring } = this.#rules;
    if (byKey) return keyring.current(principal, this.#wall()) !== undefined;
    return principal !== ANONYMOUS || !keyring.required || this.#authenticate !== undefined;
  }

  opened(address: string, principal = ANONYMOUS): void {
    if (!isLoopback(address)) this.#addresses.opened(network(address));
    this.#principals.opened(principal);
  }

  closed(address: string, principal = ANONYMOUS): void {
    if (!isLoopback(address)) this.#addresses.closed(network(address));
    this.#principals.closed(principal);
  }

  reconfigure(options: Options): void {
    this.#rules = rulesOf(options);
  }

  /** What stands in the address as a ticket; undefined: none, or none is needed. */
  #ticketOf({ query }: RequestHead): string | undefined {
    if (!this.issuesTickets || !query.includes('ticket=')) return undefined;
    const all = new URLSearchParams(query).getAll('ticket');
    return all.length === 0 ? undefined : all.join(' ');
  }

  /** Once and for ever: a ticket of a key that is gone is spent too. What the key allows now counts, not what it allowed then. */
  #redeem(ticket: string, nowMs: number): Found {
    const found = this.#tickets.redeem(ticket, nowMs);
    const holder = found?.byKey
      ? this.#rules.keyring.current(found.principal, this.#wall())
      : found;
    return holder ?? new MillraceError('MILLRACE_TICKET_INVALID', {});
  }

  /** A ticket alone counts where there is one; else the key, then whoever else is asked. A network that failed too often is not looked at. */
  #authenticated(head: RequestHead, nowMs: number, ticket?: string): Soon<Found> {
    const max = this.#rules.server.authFailuresPerAddressMax;
    const from = network(head.address);
    const waitMs = max === undefined ? 0 : this.#failures.waitMs(from, max, nowMs);
    if (waitMs > 0)
      return new MillraceError('MILLRACE_AUTH_LIMITED', { waitMs: Math.ceil(waitMs) });
    const settle = (found: Found) => {
      const guessed = found instanceof MillraceError && isGuess(found);
      if (guessed && max !== undefined) this.#failures.add(from, nowMs);
      return found;
    };
    if (ticket !== undefined) return settle(this.#redeem(ticket, nowMs));
    const found = this.#rules.keyring.identify(head, this.#wall());
    const answer = this.#authenticate ? this.#authenticate(head, found) : found;
    return answer instanceof Promise ? answer.then(settle) : settle(answer);
  }

  #admit(
    head: RequestHead,
    dialect: DialectName,
    found: Found,
    openSessions: number,
  ): AcceptVerdict {
    if (found instanceof MillraceError) return refuse(found, waitOf(found));
    const forbidden =
      checkPath(found, head.path, dialect) ?? this.#full(head.address, found, openSessions);
    if (forbidden)
      return refuse(forbidden, forbidden.failure.retry === 'later' ? 1_000 : undefined);
    const { principal, keyName, rights, byKey, worker } = found;
    const offered = offeredProtocols(head);
    const { protocols } = this.#rules.proxy;
    const isProxy = dialect === 'proxy';
    const agreement = isProxy
      ? undefined
      : agreeOn(head, offered, dialect, this.#rules, this.#encodings);
    const protocol = isProxy
      ? agreedProtocol(offered, protocols)
      : (agreement?.protocol ?? answeredProtocol(offered));
    return {
      kind: 'session',
      dialect,
      principal,
      ...(keyName === undefined ? {} : { keyName }),
      ...(rights === undefined ? {} : { rights }),
      ...(byKey === undefined ? {} : { byKey }),
      ...(worker === undefined ? {} : { worker }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(agreement === undefined ? {} : { agreement }),
    };
  }

  #full(address: string, by: Identity, openSessions: number): MillraceError | undefined {
    const { sessionsMax, sessionsPerAddressMax } = this.#rules.server;
    if (openSessions >= sessionsMax)
      return new MillraceError('MILLRACE_SESSIONS_EXHAUSTED', { max: sessionsMax });
    if (this.#addresses.of(network(address)) >= sessionsPerAddressMax)
      return new MillraceError('MILLRACE_ADDRESS_EXHAUSTED', { max: sessionsPerAddressMax });
    if (by.sessionsMax !== undefined && this.#principals.of(by.principal) >= by.sessionsMax)
      return new MillraceError('MILLRACE_KEY_EXHAUSTED', { max: by.sessionsMax });
    return undefined;
  }
}

/** What is our own failure, or says nothing, is no guess. */
function isGuess({ code, failure }: MillraceError): boolean {
  return code !== 'MILLRACE_KEY_MISSING' && failure.status < 429;
}

type Rules = ReturnType<typeof rulesOf>;

function rulesOf(options: Options) {
  return {
    server: options.server,
    proxy: options.proxy,
    compression: options.compression,
    tickets: options.tickets,
    trusts: trustedPeers(options.server.trustedProxies),
    sites: createSiteRules(options.server),
    keyring: createKeyring(options),
    rate: createRate(options.server.handshakesPerSecondMax),
  };
}

/** Its key names the dialects and paths it may use, or none: then all. */
function checkPath(
  { paths }: Identity,
  path: string,
  dialect: DialectName | undefined,
): MillraceError | undefined {
  if (paths === undefined || paths.includes(path)) return undefined;
  if (dialect !== undefined && paths.includes(dialect)) return undefined;
  if (dialect === 'responses-http' && paths.includes('responses')) return undefined;
  return new MillraceError('MILLRACE_PATH_FORBIDDEN', {});
}

/** What the error says about when to come back. */
export function waitOf({ details }: MillraceError): number | undefined {
  return typeof details['waitMs'] === 'number' ? details['waitMs'] : undefined;
}

function refuse(error: MillraceError, retryAfterMs?: number): AcceptVerdict {
  return { kind: 'refuse', error, reply: refusal(error, retryAfterMs) };
}

/** The user's own code may say another one. */
function statusOf({ code, details, failure }: MillraceError): number {
  const said = code === 'MILLRACE_AUTH_REFUSED' ? details['status'] : undefined;
  return typeof said === 'number' ? said : failure.status;
}

/** The HTTP answer of an error, in the shape that OpenAI's clients read. Ends the connection. */
export function refusal(error: MillraceError, retryAfterMs?: number): HttpReply {
  const { type = 'server_error' } = error.failure;
  const status = statusOf(error);
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

/**
 * A browser that offered subprotocols fails without an answer. The first that carries no key and is no wish for an encoding (a wish that is
 * not granted is not answered); a key goes back only to a client that offered nothing else.
 */
function answeredProtocol(protocols: readonly string[]): string | undefined {
  const offered = protocols.filter((protocol) => !protocol.startsWith(ENCODING_PROTOCOL));
  return offered.find((protocol) => !protocol.startsWith(KEY_PROTOCOL)) ?? offered[0];
}

/** A back end must speak what its client is told: only what the options name, or else the key that a client offered alone. */
function agreedProtocol(offered: readonly string[], spoken: readonly string[]): string | undefined {
  const isOnlyKey = offered.every((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return (
    offered.find((protocol) => spoken.includes(protocol)) ?? (isOnlyKey ? offered[0] : undefined)
  );
}
