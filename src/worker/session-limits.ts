/** What limits the requests of one session: its key, resolved once, the model it asks for, and everybody together. */
import type { MillraceError } from '../errors.ts';
import type { Budget, Claim } from '../policy/limit/claim.ts';
import type { LimitPlan } from '../policy/limit/limit-plan.ts';
import type { LimitScope } from '../policy/limit/limit-scopes.ts';
import type { Clock } from '../policy/ports.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { Budgets } from './budgets.ts';
import type { Means } from './means.ts';
import type { RequestLimits } from './request-limits.ts';
import type { Tap } from './tap.ts';

export class SessionLimits {
  readonly #limits: RequestLimits;
  readonly #budgets: Budgets;
  readonly #clock: Clock;
  readonly #facts: SessionFacts;
  #plan: LimitPlan | undefined;
  #key: Claim | undefined;
  #model: string | undefined;
  #claims: readonly Claim[] = [];

  constructor(
    { limits, budgets, clock }: Pick<Means, 'limits' | 'budgets' | 'clock'>,
    facts: SessionFacts,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#budgets = budgets;
    this.#facts = facts;
  }

  /** A request for this model ('' = none is named): when it may begin, on this thread's clock, or why it is refused. `arrivedMs`: see ClientMessage. */
  admit(model: string, tap: Tap, arrivedMs: number): MillraceError | number {
    const clock = this.#clock;
    this.#resolve(model);
    // A worker that died was charged for it.
    if (tap.paid > 0) return clock.now() + arrivedMs + (tap.paid - 1) - clock.wall();
    if (tap.opened || this.#claims.length === 0) return 0;
    const waitMs = this.#limits.take(this.#claims);
    if (typeof waitMs !== 'number') return waitMs;
    // Behind the charge: where this thread ends between the two, a rerun is charged once more, and no limit lets more pass than it says.
    const dueMs = waitMs === 0 ? 0 : Math.ceil(clock.wall() + waitMs - arrivedMs);
    tap.admitted(1 + Math.max(0, dueMs));
    return waitMs === 0 ? 0 : clock.now() + waitMs;
  }

  /** What is left after it, in the words of OpenAI's HTTP API. Undefined: nothing limits it. */
  headers(): Readonly<Record<string, string>> | undefined {
    const all = this.#budgets.of(this.#facts);
    if (this.#claims.length === 0 && all.length === 0) return undefined;
    const budgets = all.filter(({ scope }) => isOfMinute(scope));
    const requests = headersOf('requests', this.#limits.left(this.#claims));
    const tokens = headersOf('tokens', this.#limits.left(budgets));
    return requests || tokens ? { ...requests, ...tokens } : undefined;
  }

  #resolve(model: string): void {
    const { plan } = this.#limits;
    if (plan === this.#plan && model === this.#model) return;
    if (plan !== this.#plan) {
      const { principal, rights } = this.#facts;
      this.#key = plan.claim('key', principal, rights?.tier);
    }
    this.#plan = plan;
    this.#model = model;
    const ofModel = model === '' ? undefined : plan.claim('model', model);
    this.#claims = [this.#key, ofModel, plan.global].filter((claim) => claim !== undefined);
  }
}

/** Before the answer has set anything aside of them. Those of a day and running answers have no such headers. */
function isOfMinute(scope: LimitScope): boolean {
  return scope === 'input_tokens' || scope === 'output_tokens';
}

function headersOf(
  what: 'requests' | 'tokens',
  left: Budget | undefined,
): Readonly<Record<string, string>> | undefined {
  return (
    left && {
      [`x-ratelimit-limit-${what}`]: String(left.limit),
      [`x-ratelimit-remaining-${what}`]: String(left.remaining),
      [`x-ratelimit-reset-${what}`]: durationOf(left.resetMs),
    }
  );
}

/** As that API writes it: 120ms, 1.5s, 6m0s. */
function durationOf(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 100) / 10;
  const whole = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
}
