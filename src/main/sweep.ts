/** Visits every session now and then: pings the silent, closes the dead and those who do not read, and those whose key is gone. */
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import { LoopLag } from '../policy/loop-lag.ts';
import type { Clock, Ticker } from '../policy/ports.ts';
import type { Counts } from './counts.ts';
import type { Overload } from './overload.ts';
import type { Requests } from './requests.ts';
import type { Session, Sessions } from './session.ts';

/** All sessions in this many ticks: a slice at a time, never a stall. */
const SLICES = 5;
const TICK_MS_MAX = 1_000;

export interface SweepParts {
  readonly options: Options;
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly counts: Counts;
  readonly overload: Overload;
  readonly clock: Clock;
  readonly ticker: Ticker;
}

export interface SweepEvents {
  end(session: Session, error: MillraceError): void;
  /** It came by a key that may be gone. */
  checkKey(session: Session): void;
}

export class Sweep {
  readonly #parts: SweepParts;
  readonly #events: SweepEvents;
  #options: Options;
  #stop: (() => void) | undefined = undefined;
  #swept = 0;
  #lag: LoopLag | undefined = undefined;

  constructor(parts: SweepParts, events: SweepEvents) {
    this.#parts = parts;
    this.#options = parts.options;
    this.#events = events;
  }

  get running(): boolean {
    return this.#stop !== undefined;
  }

  /** Idempotent. */
  start(): void {
    if (this.#stop) return;
    const { pingIntervalMs, idleTimeoutMs } = this.#options.server;
    const { slowClientTimeoutMs } = this.#options.session;
    const shortest = Math.min(pingIntervalMs, idleTimeoutMs, slowClientTimeoutMs);
    const periodMs = Math.min(TICK_MS_MAX, Math.max(5, shortest / SLICES / 2));
    this.#lag = new LoopLag(periodMs, this.#parts.clock.now());
    this.#stop = this.#parts.ticker.every(periodMs, () => this.#sweep());
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Follows these options from here on. */
  reconfigure(options: Options): void {
    this.#options = options;
    if (!this.running) return;
    this.stop();
    this.start();
  }

  #sweep(): void {
    const { sessions, requests, counts, overload, clock } = this.#parts;
    const nowMs = clock.now();
    if (this.#lag) counts.lag(this.#lag.tick(nowMs));
    const size = Math.ceil(sessions.used / SLICES) || 1;
    const from = this.#swept >= sessions.used ? 0 : this.#swept;
    this.#swept = from + size;
    sessions.slice(from, this.#swept, (session) => this.#look(session, nowMs));
    counts.held(requests.retainedBytes);
    overload.sweep();
  }

  #look(session: Session, nowMs: number): void {
    if (session.admission.byKey || session.revoked) this.#events.checkKey(session);
    if (!session.open) return;
    const { pingIntervalMs, idleTimeoutMs } = this.#options.server;
    const { slowClientTimeoutMs } = this.#options.session;
    // What the end of a cork left unread, its sends did not know.
    if (session.fullSinceMs === 0 && session.connection.buffered() > 0) session.fullSinceMs = nowMs;
    if (session.fullSinceMs !== 0 && nowMs - session.fullSinceMs > slowClientTimeoutMs) {
      this.#parts.counts.slowClient();
      const limitMs = slowClientTimeoutMs;
      return this.#events.end(session, new MillraceError('MILLRACE_CLIENT_SLOW', { limitMs }));
    }
    // It waits for its answer, or reads it: it has nothing to say.
    if (session.once && (session.unsettled > 0 || session.ending)) return;
    // We do not read it: it cannot be heard. Its back end has a clock of its own.
    if (session.heard || session.pausedBytes > 0) {
      session.heard = session.pinged = false;
      session.seenMs = nowMs;
      return;
    }
    const silentMs = nowMs - session.seenMs;
    if (silentMs > idleTimeoutMs) {
      const limitMs = idleTimeoutMs;
      return this.#events.end(session, new MillraceError('MILLRACE_CLIENT_SILENT', { limitMs }));
    }
    if (silentMs > pingIntervalMs && !session.pinged) {
      session.pinged = true;
      session.connection.ping();
    }
  }
}
