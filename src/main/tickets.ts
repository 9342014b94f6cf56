/**
 * Tickets: what a page shows at the upgrade instead of a key, because a browser cannot set headers and an address is no place for a secret that
 * lasts. Good once and for a moment. Pure: time and chance are arguments.
 */
import { createHmac } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Identity } from './keyring.ts';

const TICKET_BYTES = 16;
/** How a ticket begins, so that one that leaks is known for what it is. */
const PREFIX = 'mt_';

export interface Ticket {
  readonly ticket: string;
  readonly ttlMs: number;
}

interface Entry {
  readonly identity: Identity;
  readonly expiresMs: number;
}

export class Tickets {
  /** By keyed hash: neither memory nor the time of a look-up tells anything about a ticket. In the order of their end, nearly. */
  readonly #entries = new Map<string, Entry>();
  readonly #held = new Map<string, number>();
  readonly #fill: (bytes: Uint8Array) => void;
  readonly #secret = new Uint8Array(32);

  constructor(fill: (bytes: Uint8Array) => void) {
    this.#fill = fill;
    fill(this.#secret);
  }

  get outstanding(): number {
    return this.#entries.size;
  }

  /** A new ticket for this one; an error when too many wait to be used. */
  issue(
    identity: Identity,
    { ttlMs, outstandingMax, outstandingPerKeyMax }: Options['tickets'],
    nowMs: number,
  ): string | MillraceError {
    this.#forget(nowMs);
    const held = this.#held.get(identity.principal) ?? 0;
    if (held >= outstandingPerKeyMax)
      return new MillraceError('MILLRACE_TICKETS_EXHAUSTED', { max: outstandingPerKeyMax });
    if (this.#entries.size >= outstandingMax)
      return new MillraceError('MILLRACE_TICKETS_EXHAUSTED', { max: outstandingMax });
    const bytes = Buffer.alloc(TICKET_BYTES);
    this.#fill(bytes);
    const ticket = PREFIX + bytes.toString('base64url');
    this.#entries.set(this.#hash(ticket), { identity, expiresMs: nowMs + ttlMs });
    this.#held.set(identity.principal, held + 1);
    return ticket;
  }

  /** Whose it is, the first time and in time; then never again. */
  redeem(ticket: string, nowMs: number): Identity | undefined {
    const hash = this.#hash(ticket);
    const entry = this.#entries.get(hash);
    if (entry === undefined) return undefined;
    this.#remove(hash, entry);
    return nowMs < entry.expiresMs ? entry.identity : undefined;
  }

  /** Oldest first; one that lives longer, from before the options changed, holds the later ones back until it ends. */
  #forget(nowMs: number): void {
    for (const [hash, entry] of this.#entries) {
      if (nowMs < entry.expiresMs) return;
      this.#remove(hash, entry);
    }
  }

  #remove(hash: string, { identity }: Entry): void {
    this.#entries.delete(hash);
    const left = (this.#held.get(identity.principal) ?? 0) - 1;
    if (left > 0) this.#held.set(identity.principal, left);
    else this.#held.delete(identity.principal);
  }

  #hash(ticket: string): string {
    return createHmac('sha256', this.#secret).update(ticket).digest('base64');
  }
}
