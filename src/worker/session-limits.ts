/** What limits the requests of one session: its key, resolved once, the model it asks for, and everybody together. */
import type { MillraceError } from '../errors.ts';
import type { Claim } from '../policy/limit/claim.ts';
import type { LimitPlan } from '../policy/limit/limit-plan.ts';
import type { RequestLimits } from './request-limits.ts';

export class SessionLimits {
  readonly #limits: RequestLimits;
  readonly #principal: string;
  #plan: LimitPlan | undefined;
  #key: Claim | undefined;
  #model: string | undefined;
  #claims: readonly Claim[] = [];

  constructor(limits: RequestLimits, principal: string) {
    this.#limits = limits;
    this.#principal = principal;
  }

  /** A request for this model ('' = none is named). An error: it is refused. */
  take(model: string): MillraceError | undefined {
    this.#resolve(model);
    return this.#limits.take(this.#claims);
  }

  /** What is left after it, in the words of OpenAI's HTTP API. Undefined: nothing limits it. */
  headers(): Readonly<Record<string, string>> | undefined {
    const left = this.#limits.left(this.#claims);
    if (!left) return undefined;
    return {
      'x-ratelimit-limit-requests': String(left.limit),
      'x-ratelimit-remaining-requests': String(left.remaining),
      'x-ratelimit-reset-requests': durationOf(left.resetMs),
    };
  }

  #resolve(model: string): void {
    const { plan } = this.#limits;
    if (plan === this.#plan && model === this.#model) return;
    if (plan !== this.#plan) this.#key = plan.claim('key', this.#principal);
    this.#plan = plan;
    this.#model = model;
    const ofModel = model === '' ? undefined : plan.claim('model', model);
    this.#claims = [this.#key, ofModel, plan.global].filter((claim) => claim !== undefined);
  }
}

/** As that API writes it: 120ms, 1.5s, 6m0s. */
function durationOf(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 100) / 10;
  const whole = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
}
