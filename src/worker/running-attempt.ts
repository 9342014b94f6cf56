/** An attempt with its place at an upstream: begun, watched, and left once, with what became of it. A stream has one, or two in a race. */
import { saidRestMs } from '../policy/limit/said-limit.ts';
import type { RetryBudget } from '../policy/retry.ts';
import type { Encoder } from '../protocol/dialect.ts';
import type { HeaderReader } from '../protocol/provider.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { AttemptFact } from '../threads/facts.ts';
import { Attempt } from './attempt.ts';
import type { AttemptEvents, AttemptFailure } from './attempt-parts.ts';
import type { Continuation } from './continuation.ts';
import { restKey } from './key-ring.ts';
import type { Means } from './means.ts';
import type { Place, PlaceOutcome } from './place.ts';
import { resumptionOf } from './resumes.ts';
import type { Upstream } from './route.ts';
import type { StreamTrace } from './stream-trace.ts';
import type { Outlet } from './tap.ts';

/** As AttemptEvents, and whose. */
export interface RunningEvents {
  committed(run: RunningAttempt): void;
  finished(run: RunningAttempt): void;
  failed(run: RunningAttempt, failure: AttemptFailure): void;
  paused(): void;
  resumed(): void;
}

export interface RunningParts {
  readonly means: Means;
  readonly request: ModelRequest;
  readonly encoder: Encoder;
  readonly tap: Outlet;
  readonly trace: StreamTrace | undefined;
  /** Counted from 1. */
  readonly number: number;
  readonly place: Place;
  /** Where it has a place too until it has content; given back with `settle`. */
  readonly budget: RetryBudget | undefined;
  readonly continuation: Continuation | undefined;
  readonly events: RunningEvents;
}

export class RunningAttempt implements AttemptEvents {
  readonly upstream: Upstream;
  /** Which of the upstream's keys it uses; -1: it has none. */
  readonly key: number;
  readonly attempt: Attempt;
  readonly #parts: Omit<RunningParts, 'request'>;
  readonly #model: string;
  readonly #startMs: number;
  readonly #spanId: string | undefined;
  #budget: RetryBudget | undefined;
  #isLeft = false;

  /** Throws what the provider's `encode` throws; then nothing runs, and the caller has the place. */
  constructor(parts: RunningParts) {
    const { request, means, encoder, tap, trace, place, number, budget, continuation, events } =
      parts;
    // Without the request, which is let go once it is answered; and not by `...rest`, which makes a hidden class for every attempt.
    this.#parts = { means, encoder, tap, trace, place, number, budget, continuation, events };
    this.#model = request.model;
    this.#startMs = means.clock.now();
    if (number === 1) for (const each of [means.budget, means.hedges]) each.began(this.#startMs);
    this.upstream = means.route.upstream(place.upstream);
    this.key = means.keys.take(this.upstream);
    const { name, provider: providerName } = this.upstream.options;
    const provider = means.providers[providerName];
    const apiKey = this.upstream.apiKeys[this.key];
    const facts = { name, model: request.model, ...(apiKey !== undefined && { apiKey }) };
    const plain = provider.encode(request, facts);
    const { eventBytesMax } = means.options.stream;
    const resumption = resumptionOf(this.upstream, provider, plain, means.random, eventBytesMax);
    const { request: first } = resumption ?? { request: plain };
    const span = trace?.attempt();
    this.#spanId = span?.spanId;
    means.tally.attempt(place.upstream);
    const traced = span ? { ...first, headers: { ...first.headers, ...span.headers } } : first;
    const attemptParts = {
      upstream: this.upstream,
      provider,
      apiKey,
      resumption,
      encoder,
      number,
      transcript: continuation?.transcript,
      continued: continuation?.begun ?? false,
      tap,
      events: this,
    };
    this.attempt = new Attempt(means, attemptParts, traced);
    this.#budget = budget;
  }

  get provider(): string {
    return this.upstream.options.provider;
  }

  /** One that has used the last of what its upstream allows is not asked again before it is allowed more. */
  accepted(headers: HeaderReader): void {
    const { means } = this.#parts;
    const restMs = saidRestMs(headers, means.clock.wall());
    if (restMs > 0) restKey(means, this, restMs);
  }

  committed(): void {
    const { means, place, events } = this.#parts;
    const afterMs = means.clock.now() - this.#startMs;
    place.firstToken(afterMs);
    means.tally.firstChunk(this.provider, this.#model, afterMs);
    this.settle();
    events.committed(this);
  }

  finished(): void {
    this.#parts.events.finished(this);
  }

  failed(failure: AttemptFailure): void {
    this.#parts.events.failed(this, failure);
  }

  paused(): void {
    this.#parts.events.paused();
  }

  resumed(): void {
    this.#parts.events.resumed();
  }

  /** It is no retry any more. */
  settle(): void {
    this.#budget?.give();
    this.#budget = undefined;
  }

  /** Said once for each, to the table and to whoever asks: `fromMs`, the stream's start. Undefined: it was left before. */
  leave(
    outcome: PlaceOutcome,
    word: AttemptFact['outcome'],
    fromMs: number,
  ): AttemptFact | undefined {
    if (this.#isLeft) return undefined;
    this.#isLeft = true;
    this.settle();
    const { means, place } = this.#parts;
    place.leave(outcome);
    means.queue.roomCame();
    const nowMs = means.clock.now();
    means.tally.operation(this.provider, this.#model, nowMs - this.#startMs);
    return this.attempt.story.fact(this.upstream, word, fromMs, nowMs, this.#spanId);
  }
}
