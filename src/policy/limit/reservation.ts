/**
 * What a stream sets aside of token budgets: taken at once from all of them or from none, used up delta by delta, settled exactly once.
 *
 *     take(estimate of the input, most output) ─▶ spend, spend, … ─▶ settle(what it really was)
 *                                                  │ beyond what is set aside: a little more, if there is
 *                                                  └ false: the budget is used up
 *
 * Every part stands in a book, so that a worker's death gives it back (memory/reservation-book.ts).
 */
import type { Claim, Told } from './claim.ts';
import type { LimitScope } from './limit-scopes.ts';

/** What budgets count, by the number that the book knows them by. */
export const budgetKinds = ['input_tokens', 'output_tokens', 'day_tokens', 'streams'] as const;
export type BudgetKind = (typeof budgetKinds)[number];

/** Set aside beyond what is needed, so that not every delta asks the shared words. */
const MORE_TOKENS = 64;
const WAIT_MS_MAX = 86_400_000;

export interface BudgetBook {
  /** -1: it is full. */
  open(at: number, tag: number, kind: number, amount: number): number;
  left(entry: number, amount: number): void;
  /** Is it still ours? */
  holds(entry: number): boolean;
  /** True: it was still ours, and what is left is for us to give back. */
  close(entry: number): boolean;
}

export interface ReservationParts {
  readonly claims: readonly Claim[];
  readonly book: BudgetBook;
  readonly told: Told;
  /** What a token of these costs. */
  readonly weights: { readonly cached: number; readonly reasoning: number };
  now(): number;
  /** For budgets of a day. */
  wall(): number;
}

export interface Wanted {
  readonly input: number;
  readonly output: number;
}

/** What the provider says a stream was. */
export interface Used {
  readonly inputTokens?: number;
  /** Of those. */
  readonly cachedTokens?: number;
  readonly outputTokens?: number;
  /** Of those. */
  readonly reasoningTokens?: number;
}

export type Taken =
  | { readonly reservation: Reservation }
  | { readonly scope: LimitScope; readonly waitMs: number };

interface Part {
  readonly claim: Claim;
  readonly kind: BudgetKind;
  readonly entry: number;
  held: number;
}

export class Reservation {
  readonly #parts: ReservationParts;
  readonly #wanted: Wanted;
  readonly #held: Part[] = [];
  /** Output that is set aside, and that was used: told so by the provider, and estimated since. */
  #reserved = 0;
  #reported = 0;
  #estimated = 0;
  #settled = false;
  #isOver = false;

  private constructor(parts: ReservationParts, wanted: Wanted) {
    this.#parts = parts;
    this.#wanted = wanted;
  }

  /** From all budgets, or a word on the one that refused. */
  static take(parts: ReservationParts, wanted: Wanted): Taken {
    const made = new Reservation(parts, wanted);
    let reserved = wanted.output;
    for (const claim of parts.claims) {
      const kind = claim.scope as BudgetKind;
      // More than a whole budget can never be set aside: the rest is asked for as it comes.
      const cost = Math.min(claim.capacity, made.#costOf(kind, wanted));
      const refused = made.#hold(claim, kind, cost);
      if (refused) {
        made.#release();
        return refused;
      }
      if (kind === 'output_tokens') reserved = Math.min(reserved, cost);
      if (kind === 'day_tokens') reserved = Math.min(reserved, Math.max(0, cost - wanted.input));
    }
    made.#reserved = reserved;
    for (const { kind } of made.#held) parts.told(kind, 'allowed');
    return { reservation: made };
  }

  /** Output that came, estimated. False: the budget is used up (and this delta was charged all the same). */
  spend(tokens: number): boolean {
    this.#estimated += tokens;
    return this.#use();
  }

  /** The provider says how much it was so far: exact, in place of what was estimated. */
  report(outputTokens: number): boolean {
    if (outputTokens <= this.#reported) return true;
    this.#reported = outputTokens;
    this.#estimated = 0;
    return this.#use();
  }

  /** Output used so far. */
  get used(): number {
    return Math.ceil(this.#reported + this.#estimated);
  }

  /**
   * The stream is over: what was set aside and not used goes back, what was used beyond it is charged. `usage`: what the provider says; without it the estimates
   * stand. `free`: it never said anything, and costs nothing.
   */
  settle(usage: Used | undefined, free = false): void {
    if (this.#settled) return;
    this.#settled = true;
    const actual = free ? { input: 0, output: 0 } : this.#actual(usage);
    for (const part of this.#held) this.#end(part, this.#costOf(part.kind, actual));
  }

  #actual(usage: Used | undefined): Wanted {
    const { weights } = this.#parts;
    const { inputTokens, cachedTokens = 0, outputTokens, reasoningTokens = 0 } = usage ?? {};
    const output = outputTokens ?? this.used;
    return {
      input:
        inputTokens === undefined
          ? this.#wanted.input
          : Math.ceil(inputTokens - cachedTokens * (1 - weights.cached)),
      output: Math.ceil(output - reasoningTokens * (1 - weights.reasoning)),
    };
  }

  #costOf(kind: BudgetKind, { input, output }: Wanted): number {
    if (kind === 'streams') return this.#settled ? 0 : 1;
    if (kind === 'input_tokens') return input;
    return kind === 'output_tokens' ? output : input + output;
  }

  #timeFor(kind: BudgetKind): number {
    return kind === 'day_tokens' ? this.#parts.wall() : this.#parts.now();
  }

  /** Undefined: it is held, or a shadow would have refused it. */
  #hold(claim: Claim, kind: BudgetKind, cost: number): Taken | undefined {
    const { book, told } = this.#parts;
    const nowMs = this.#timeFor(kind);
    const words = claim.locate(nowMs);
    const number = budgetKinds.indexOf(kind);
    // See the book: what a thread takes and has not noted yet is lost with it, but for places.
    const at = kind === 'streams' ? cost : 0;
    const entry = words ? book.open(words.at, words.tag, number, at) : -1;
    if (words && entry < 0) return { scope: kind, waitMs: 1_000 };
    if (claim.take(cost, nowMs) >= 0) {
      if (entry < 0) return undefined;
      if (at < cost) book.left(entry, cost);
      else if (!book.holds(entry)) {
        // Main has given this thread up, perhaps before it took.
        claim.give(cost, nowMs);
        return { scope: kind, waitMs: 1_000 };
      }
      this.#held.push({ claim, kind, entry, held: cost });
      return undefined;
    }
    if (entry >= 0) book.close(entry);
    told(kind, claim.shadow ? 'shadowed' : 'refused');
    if (claim.shadow) return undefined;
    return { scope: kind, waitMs: Math.min(WAIT_MS_MAX, Math.max(1, claim.waitMs(cost, nowMs))) };
  }

  #use(): boolean {
    if (this.#settled) return true;
    const over = this.used - this.#reserved;
    if (over > 0 && !this.#more(over + MORE_TOKENS) && !this.#more(over)) {
      this.#charge(over);
      return false;
    }
    for (const part of this.#held) this.#note(part);
    return true;
  }

  /** Sets more output aside, in all budgets of it or in none. */
  #more(tokens: number): boolean {
    const grown: Part[] = [];
    for (const part of this.#held) {
      if (!isOfOutput(part)) continue;
      const { claim, kind } = part;
      if (claim.take(tokens, this.#timeFor(kind)) >= 0) {
        grown.push(part);
      } else if (!claim.shadow) {
        for (const each of grown) each.claim.give(tokens, this.#timeFor(each.kind));
        return false;
      }
    }
    for (const part of grown) part.held += tokens;
    this.#reserved += tokens;
    return true;
  }

  /** It was used, whether or not it was there. */
  #charge(tokens: number): void {
    for (const part of this.#held) {
      if (!isOfOutput(part)) continue;
      part.claim.charge(tokens, this.#timeFor(part.kind));
      part.held += tokens;
      if (!this.#isOver) this.#parts.told(part.kind, 'refused');
    }
    this.#isOver = true;
    this.#reserved += tokens;
    for (const part of this.#held) this.#note(part);
  }

  /** What a death would give back. */
  #note({ kind, entry, held }: Part): void {
    if (kind === 'streams') return;
    const input = kind === 'output_tokens' ? 0 : this.#wanted.input;
    const used = kind === 'input_tokens' ? input : input + this.used;
    this.#parts.book.left(entry, Math.max(0, held - used));
  }

  #end({ claim, kind, entry, held }: Part, actual: number): void {
    const { book } = this.#parts;
    const nowMs = this.#timeFor(kind);
    if (kind === 'streams') {
      // See the book: time does not heal a place that is lost.
      if (book.holds(entry)) claim.give(held, nowMs);
      book.close(entry);
      return;
    }
    // Main has given it back already: this worker was given up for dead.
    if (!book.close(entry)) return;
    if (held > actual) claim.give(held - actual, nowMs);
    else if (actual > held) claim.charge(actual - held, nowMs);
  }

  /** Nothing came of it. */
  #release(): void {
    this.#settled = true;
    for (const part of this.#held) this.#end(part, 0);
  }
}

function isOfOutput({ kind }: Part): boolean {
  return kind === 'output_tokens' || kind === 'day_tokens';
}
