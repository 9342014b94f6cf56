/**
 * The limits that need no body, decided on main before a message is stored: handshakes and messages of an address (words of the shared table, so that its bound and its
 * sweep are one for all), messages of a session (two plain numbers of its slot).
 */
import type { Options } from '../options/schema.ts';
import type { KeyedLimit, Subject } from '../policy/limit/keyed-limit.ts';
import { clearLimit } from '../policy/limit/keyed-limit.ts';
import { algorithmOf, LimitPlan, type SharedLimits } from '../policy/limit/limit-plan.ts';
import type { LimitScope, LimitVerdictName } from '../policy/limit/limit-scopes.ts';
import { type Algorithm, PlainWords } from '../policy/limit/limit-words.ts';
import type { Clock } from '../policy/ports.ts';
import { network } from './caps.ts';
import type { Session } from './session.ts';

const WORDS = 2;
/** Longer than the longest wait of any rule: for a cost that never passes there is no time to name. */
const WAIT_MS_MAX = 86_400_000;

export interface DoorCounts {
  limit(scope: LimitScope, verdict: LimitVerdictName): void;
}

/** An address, resolved for a session; to be resolved again when the limits have changed. */
export interface Known {
  readonly plan: LimitPlan;
  readonly subject: Subject;
}

export class DoorLimits {
  readonly #table: SharedLimits;
  readonly #clock: Clock;
  readonly #counts: DoorCounts;
  readonly #sessionsMax: number;
  #plan: LimitPlan;
  #session: Algorithm | undefined;
  #words: PlainWords | undefined;
  #isActive = false;

  constructor(options: Options, table: SharedLimits, clock: Clock, counts: DoorCounts) {
    this.#clock = clock;
    this.#table = table;
    this.#counts = counts;
    this.#sessionsMax = options.server.sessionsMax;
    this.#plan = new LimitPlan(options.limits, table, clock);
    this.#begin(options);
  }

  /** Changed limits begin anew, everywhere: before the workers hear of it. */
  reconfigure(options: Options): void {
    if (JSON.stringify(options.limits) === JSON.stringify(this.#plan.options)) return;
    LimitPlan.renew(this.#table);
    this.#plan = new LimitPlan(options.limits, this.#table, this.#clock);
    this.#begin(options);
  }

  /** Does any message have to be asked about? Without limits no clock is read for it. */
  get isActive(): boolean {
    return this.#isActive;
  }

  get plan(): LimitPlan {
    return this.#plan;
  }

  /** Does a refusal end the session? */
  get closes(): boolean {
    return this.#plan.options.whenRefused === 'close';
  }

  /** A handshake or an HTTP request of this address: 0, or how long it has to wait. */
  arrives(address: string, nowMs: number): number {
    const limit = this.#plan.keyed('address');
    return limit ? this.#ask(limit, limit.subject(network(address)), nowMs) : 0;
  }

  /** A message: 0, or how long its session has to wait. What came by one HTTP request was asked about when it arrived. */
  message(session: Session, nowMs: number): number {
    if (session.once) return 0;
    return this.#ofSession(session.slot, nowMs) || this.#ofAddress(session, nowMs);
  }

  /** A slot has a new session. */
  opened(slot: number): void {
    const words = this.#words;
    if (!words) return;
    clearLimit(words, WORDS * slot);
  }

  #begin({ limits }: Options): void {
    this.#session = limits.perSession && algorithmOf(limits.perSession);
    const log = limits.perSession?.exact ? this.#session?.capacity : 0;
    this.#words = this.#session && new PlainWords(WORDS * this.#sessionsMax, log);
    this.#isActive = this.#session !== undefined || limits.perAddress !== undefined;
  }

  #ofSession(slot: number, nowMs: number): number {
    const [algorithm, words] = [this.#session, this.#words];
    if (!algorithm || !words) return 0;
    const at = WORDS * slot;
    // Also one that was silent for so long that its ticks have gone round.
    if (algorithm.isIdle(words, at, nowMs)) this.opened(slot);
    const { shadow, perSession } = this.#plan.options;
    const taken = algorithm.take(words, at, 1, nowMs);
    if (this.#passes('session', taken, shadow || (perSession?.shadow ?? false))) return 0;
    return bounded(algorithm.waitMs(words, at, 1, nowMs));
  }

  #ofAddress(session: Session, nowMs: number): number {
    const plan = this.#plan;
    const limit = plan.keyed('address');
    if (!limit) return 0;
    if (session.known?.plan !== plan)
      session.known = { plan, subject: limit.subject(network(session.address)) };
    return this.#ask(limit, session.known.subject, nowMs);
  }

  #ask(limit: KeyedLimit, subject: Subject, nowMs: number): number {
    const taken = limit.take(subject, 1, nowMs);
    if (this.#passes('address', taken, this.#plan.isShadow('address'))) return 0;
    return bounded(limit.waitMs(subject, 1, nowMs));
  }

  #passes(scope: LimitScope, taken: boolean, shadow: boolean): boolean {
    this.#counts.limit(scope, taken ? 'allowed' : shadow ? 'shadowed' : 'refused');
    return taken || shadow;
  }
}

function bounded(waitMs: number): number {
  return Math.min(WAIT_MS_MAX, Math.max(1, waitMs));
}
