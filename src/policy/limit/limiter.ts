/**
 * The seam of every limit: a pure decision with a reservation that is settled exactly once. Admission asks before
 * a request runs, the stream asks per delta; `unlimited` answers yes to all.
 */

/** Who is limited: resolved to table slots once per session. */
export interface LimitSubject {
  readonly principal: string;
  readonly address: string;
  readonly session: number;
}

export interface Cost {
  /** Requests, usually 1. */
  readonly requests: number;
  /** Tokens reserved (estimate) or used (per delta). */
  readonly tokens: number;
}

export type LimitVerdict =
  | { readonly allowed: true; readonly reservation: Reservation }
  | { readonly allowed: false; readonly scope: string; readonly waitMs: number };

/** What was set aside. Settled exactly once, also when the stream dies. */
export interface Reservation {
  /** Called for every delta: false = the budget is used up, end the stream. */
  spend(tokens: number, nowMs: number): boolean;
  settle(actual: Cost, nowMs: number): void;
}

export interface Limiter {
  decide(subject: LimitSubject, cost: Cost, nowMs: number): LimitVerdict;
}

const nothing: Reservation = { spend: () => true, settle: () => {} };
const yes: LimitVerdict = { allowed: true, reservation: nothing };

export const unlimited: Limiter = { decide: () => yes };
