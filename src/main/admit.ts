/**
 * Stage ②: one client message. Echo answers at once; everything else becomes a request that main keeps and its worker runs. Main
 * looks at size and number only, never into the bytes.
 */
import { createHmac, randomBytes, randomFillSync } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import { OVERLOAD_WAIT_MS } from '../policy/overload.ts';
import type { Clock } from '../policy/ports.ts';
import type { Dialect } from '../protocol/dialect.ts';
import { NONCE_BYTES } from '../protocol/ids.ts';
import { WORKER_ROW } from '../threads/roster.ts';
import type { Counts } from './counts.ts';
import type { DoorLimits } from './door-limits.ts';
import type { Link } from './link.ts';
import { tellAdmit } from './points.ts';
import type { Request, Requests } from './requests.ts';
import type { Session } from './session.ts';

/** Nonces are drawn many at a time: one call into the system for as many requests. */
const NONCES = 256;
/** What is only carried on has no ids. */
const nobody = new Uint8Array(NONCE_BYTES);

export interface AdmitEvents {
  /** The session ends with this error's close code. */
  end(session: Session, error: MillraceError): void;
  /** The one answer of a session that has only one is sent. */
  over(session: Session): void;
  /** A request begins. */
  began(): void;
  /** A message of a path that the application handles itself. */
  socket(session: Session, bytes: Uint8Array, binary: boolean): void;
  /** A limit refused a message of such a path. */
  refused(session: Session, error: MillraceError): void;
}

export class Admit {
  #options: Options;
  readonly #dialects: Readonly<Record<string, Dialect>>;
  readonly #requests: Requests;
  readonly #links: readonly Link[];
  readonly #limits: DoorLimits;
  readonly #clock: Clock;
  readonly #counts: Counts;
  readonly #events: AdmitEvents;
  readonly #secret = randomBytes(32);
  readonly #nonces = new Uint8Array(NONCES * NONCE_BYTES);
  #nonce = NONCES;

  constructor(
    options: Options,
    dialects: Readonly<Record<string, Dialect>>,
    requests: Requests,
    links: readonly Link[],
    limits: DoorLimits,
    clock: Clock,
    counts: Counts,
    events: AdmitEvents,
  ) {
    this.#options = options;
    this.#dialects = dialects;
    this.#requests = requests;
    this.#links = links;
    this.#limits = limits;
    this.#clock = clock;
    this.#counts = counts;
    this.#events = events;
  }

  reconfigure(options: Options): void {
    this.#options = options;
  }

  message(session: Session, bytes: Uint8Array, binary: boolean): void {
    this.#counts.received(bytes.byteLength);
    session.bytesIn += bytes.byteLength;
    if (session.revoked)
      return this.#complain(session, new MillraceError('MILLRACE_KEY_REVOKED', {}));
    // Without limits no clock is read: it would cost an echo more than everything else here.
    if (this.#limits.isActive && this.#isLimited(session)) return;
    if (session.admission.dialect === 'echo') return this.#echo(session, bytes, binary);
    if (session.admission.dialect === 'socket') return this.#events.socket(session, bytes, binary);
    if (session.admission.dialect === 'proxy') return this.#carry(session, bytes, binary);
    // Where an encoding was agreed on, a binary message is a compressed one: its worker looks into it.
    const isEncoded = session.admission.encoding !== undefined;
    if (binary && !isEncoded && !this.#dialect(session).binary) {
      return this.#events.end(session, new MillraceError('MILLRACE_MESSAGE_NOT_TEXT', {}));
    }
    // The worker refuses turns beyond the queue one by one; a client that goes on all the same is a flood.
    const { queuedRequestsMax, runningRequestsMax } = this.#options.session;
    if (session.unsettled >= 2 * (queuedRequestsMax + runningRequestsMax)) {
      const bound = 'session.queuedRequestsMax';
      return this.#events.end(
        session,
        new MillraceError('MILLRACE_OVERLOADED', { bound, waitMs: OVERLOAD_WAIT_MS }),
      );
    }
    this.#request(session, bytes, binary);
  }

  #isLimited(session: Session): boolean {
    const waitMs = Math.ceil(this.#limits.message(session, this.#clock.now()));
    if (waitMs === 0) return false;
    const error = new MillraceError('MILLRACE_RATE_LIMITED', { waitMs });
    this.#complain(session, error);
    if (this.#limits.closes && session.open) this.#events.end(session, error);
    return true;
  }

  #request(session: Session, bytes: Uint8Array, binary: boolean): void {
    const nowMs = this.#clock.now();
    const wallMs = this.#clock.wall();
    const request = this.#requests.add(session, this.#draw(), bytes, binary, nowMs, wallMs);
    if (!request) {
      const bound = 'memory.retainedBytesMax';
      return this.#complain(
        session,
        new MillraceError('MILLRACE_OVERLOADED', { bound, waitMs: OVERLOAD_WAIT_MS }),
      );
    }
    session.asked += 1;
    this.#events.began();
    const link = this.#links[session.worker];
    request.owner = WORKER_ROW + session.worker;
    request.ownerGeneration = link.generation & 0xffff;
    request.tag = this.#tag(request);
    tellAdmit(session.slot, request.number, bytes.byteLength, session.worker);
    link.request(request);
  }

  /**
   * To the session's back end, by its worker. Kept until that one has taken it; a client that is ahead by too much is not read any more, or,
   * where that cannot be, has to come again.
   */
  #carry(session: Session, bytes: Uint8Array, binary: boolean): void {
    const { bufferBytesMax, unpausedBytesMax } = this.#options.proxy;
    const { connection } = session;
    if (!connection.pause && session.unsettledBytes > unpausedBytesMax) {
      const max = unpausedBytesMax;
      return this.#events.end(session, new MillraceError('MILLRACE_PROXY_FULL', { max }));
    }
    const request = this.#requests.add(session, nobody, bytes, binary, 0, 0);
    if (!request) {
      const bound = 'memory.retainedBytesMax';
      const waitMs = OVERLOAD_WAIT_MS;
      return this.#events.end(session, new MillraceError('MILLRACE_OVERLOADED', { bound, waitMs }));
    }
    session.asked += 1;
    this.#events.began();
    this.#links[session.worker].request(request);
    if (session.pausedBytes > 0 || session.unsettledBytes <= bufferBytesMax) return;
    session.pausedBytes = session.unsettledBytes;
    connection.pause?.();
  }

  /** An exact copy back. What the client does not read is bounded: it cannot make us hold more than its own largest message and one credit. */
  #echo(session: Session, bytes: Uint8Array, binary: boolean): void {
    const status = session.connection.send(bytes, binary);
    this.#counts.sent(1, bytes.byteLength);
    session.bytesOut += bytes.byteLength;
    if (status !== 'buffered') return;
    const { messageBytesMax } = this.#options.server;
    if (session.connection.buffered() <= messageBytesMax + this.#options.session.creditBytes)
      return;
    const limitMs = 0;
    this.#events.end(session, new MillraceError('MILLRACE_CLIENT_SLOW', { limitMs }));
  }

  #complain(session: Session, error: MillraceError): void {
    this.#counts.error(error.code);
    const { dialect } = session.admission;
    // What is not carried on would be missing at its back end.
    if (dialect === 'echo' || dialect === 'proxy') return this.#events.end(session, error);
    if (dialect === 'socket') return this.#events.refused(session, error);
    session.connection.send(this.#dialect(session).complain(error), false);
    if (session.once) this.#events.over(session);
  }

  #dialect(session: Session): Dialect {
    return this.#dialects[session.admission.dialect];
  }

  #draw(): Uint8Array {
    if (this.#nonce === NONCES) {
      randomFillSync(this.#nonces);
      this.#nonce = 0;
    }
    const at = NONCE_BYTES * this.#nonce++;
    return this.#nonces.slice(at, at + NONCE_BYTES);
  }

  /** Makes a forged owner visible before anything is routed by an id. */
  #tag(request: Request): number {
    return createHmac('sha256', this.#secret)
      .update(request.nonce)
      .update(
        new Uint8Array([
          request.owner,
          request.ownerGeneration & 255,
          request.ownerGeneration >> 8,
        ]),
      )
      .digest()
      .readUInt32LE(0);
  }
}
