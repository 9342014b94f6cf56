/** The token budgets of a worker's streams: what they set aside, in whose name, and the book that outlives the worker. */
import { MillraceError } from '../errors.ts';
import type { ReservationBook } from '../memory/contract.ts';
import type { Claim } from '../policy/limit/claim.ts';
import type { LimitPlan } from '../policy/limit/limit-plan.ts';
import { type BudgetBook, Reservation } from '../policy/limit/reservation.ts';
import type { Clock } from '../policy/ports.ts';
import type { ModelRequest } from '../protocol/request.ts';
import type { SessionFacts } from '../threads/messages.ts';
import type { RequestLimits } from './request-limits.ts';
import type { Tally } from './tally.ts';

/** Around each message, and for an image, which says nothing of its size. */
const MESSAGE_TOKENS = 4;
const IMAGE_TOKENS = 765;

export interface BudgetParts {
  readonly limits: RequestLimits;
  readonly book: ReservationBook;
  readonly worker: number;
  readonly generation: number;
  readonly clock: Clock;
  readonly tally: Tally;
}

export class Budgets {
  readonly #parts: BudgetParts;
  readonly #book: BudgetBook;
  readonly #told: Tally['limit'];
  /** Resolved once for each session, as long as the limits stay the same. */
  readonly #known = new WeakMap<SessionFacts, { plan: LimitPlan; claims: readonly Claim[] }>();

  constructor(parts: BudgetParts) {
    const { book, worker, generation, tally } = parts;
    this.#parts = parts;
    this.#told = (scope, verdict) => tally.limit(scope, verdict);
    this.#book = entriesOf(book, worker, generation);
  }

  /** None: nothing is metered. */
  of(session: SessionFacts): readonly Claim[] {
    const { plan } = this.#parts.limits;
    const known = this.#known.get(session);
    if (known?.plan === plan) return known.claims;
    const claims = plan.budgets(session.principal, session.rights?.tier);
    this.#known.set(session, { plan, claims });
    return claims;
  }

  /** From all of them, or an error that says which refused. */
  reserve(claims: readonly Claim[], request: ModelRequest): Reservation | MillraceError {
    const { limits, clock } = this.#parts;
    const { bytesPerToken, outputTokensAssumed, cachedWeight, reasoningWeight } =
      limits.plan.options.tokens;
    const wanted = {
      input: inputTokens(request, bytesPerToken),
      output: request.maxOutputTokens ?? outputTokensAssumed,
    };
    const taken = Reservation.take(
      {
        claims,
        book: this.#book,
        told: this.#told,
        weights: { cached: cachedWeight, reasoning: reasoningWeight },
        now: () => clock.now(),
        wall: () => clock.wall(),
      },
      wanted,
    );
    if ('reservation' in taken) return taken.reservation;
    const { scope, waitMs } = taken;
    return new MillraceError('MILLRACE_BUDGET_EXCEEDED', { scope, waitMs: Math.ceil(waitMs) });
  }

  get options(): LimitPlan['options']['tokens'] {
    return this.#parts.limits.plan.options.tokens;
  }
}

/** The book as one incarnation of a worker writes it. */
export function entriesOf(book: ReservationBook, worker: number, generation: number): BudgetBook {
  return {
    open: (at, tag, kind, amount) => book.open(worker, generation, at, tag, kind, amount),
    left: (entry, amount) => book.left(entry, generation, amount),
    holds: (entry) => book.holds(entry, generation),
    close: (entry) => book.close(entry, generation),
  };
}

/** What a request will be counted as, before anybody has counted it. */
function inputTokens({ messages, tools }: ModelRequest, bytesPerToken: number): number {
  let bytes = 0;
  let tokens = 0;
  for (const message of messages) {
    tokens += MESSAGE_TOKENS;
    if (typeof message.content === 'string') bytes += Buffer.byteLength(message.content);
    else {
      for (const part of message.content) {
        if (part.type === 'text') bytes += Buffer.byteLength(part.text);
        else tokens += IMAGE_TOKENS;
      }
    }
    if (!('toolCalls' in message)) continue;
    for (const call of message.toolCalls ?? []) bytes += call.name.length + call.arguments.length;
  }
  if (tools) bytes += JSON.stringify(tools).length;
  return Math.ceil(tokens + bytes / bytesPerToken);
}
