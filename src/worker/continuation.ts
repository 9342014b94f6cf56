/**
 * An answer whose upstream is lost behind its first content, taken over by another one that was told what had been said: opt-in, visible in the last
 * frame, once. What no prefix of a message can say (tool calls, reasoning, refusals, structured output) is never continued.
 */
import type { MillraceError } from '../errors.ts';
import type { Ledger } from '../memory/contract.ts';
import type { Options } from '../options/schema.ts';
import type { RetryBudget } from '../policy/retry.ts';
import { responseFormat } from '../protocol/providers/response-format.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { Means } from './means.ts';
import type { Place } from './place.ts';
import type { RunningAttempt } from './running-attempt.ts';
import { Transcript } from './transcript.ts';

export interface Next {
  readonly request: ModelRequest;
  readonly place: Place;
  readonly budget: RetryBudget;
}

export class Continuation {
  readonly transcript: Transcript;
  /** What broke the answer, once somebody goes on with it. */
  error: MillraceError | undefined;
  /** What had been said by then. */
  deltasBefore = 0;

  private constructor(ledger: Ledger) {
    this.transcript = new Transcript(ledger);
  }

  /** Undefined: no upstream would, or the request does not allow it. */
  static of(
    { upstreams }: Options,
    request: ModelRequest,
    ledger: Ledger,
  ): Continuation | undefined {
    if (!upstreams.some(({ continues }) => continues)) return undefined;
    if (request.reasoningEffort !== undefined) return undefined;
    if (responseFormat(request.responseFormat).type !== 'text') return undefined;
    return new Continuation(ledger);
  }

  get begun(): boolean {
    return this.error !== undefined;
  }

  /** Who goes on, and with what; its place is taken. */
  next(
    { route, budget, tally, clock }: Means,
    request: ModelRequest,
    { upstream, attempt }: RunningAttempt,
    error: MillraceError,
  ): Next | undefined {
    const said = this.transcript.text;
    if (this.begun || said === undefined || error.failure.retry !== 'elsewhere') return undefined;
    const among = route
      .usable(request.model)
      .filter((index) => index !== upstream.index && route.upstream(index).options.continues);
    if (among.length === 0) return undefined;
    if (!budget.take(tally.running, clock.now())) {
      tally.budgetExhausted();
      return undefined;
    }
    const place = route.take(among, request.model);
    if (!place) {
      budget.undo(clock.now());
      return undefined;
    }
    this.error = error;
    this.deltasBefore = attempt.deltas;
    this.transcript.spoil();
    return { request: continued(request, said, attempt.deltas), place, budget };
  }

  close(): void {
    this.transcript.clear();
  }
}

/** A delta is a token, as near as anybody outside the model can tell. */
function continued(request: ModelRequest, text: string, deltas: number): ModelRequest {
  const { messages, maxOutputTokens: max } = request;
  return {
    ...request,
    messages: [...messages, { role: 'assistant', content: [{ type: 'text', text }] }],
    ...(max !== undefined && { maxOutputTokens: Math.max(1, max - deltas) }),
  };
}
