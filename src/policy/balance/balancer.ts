/**
 * Which upstream next. A balancer is pure: it sees the candidates as indexes, reads their loads, and answers one of them.
 */

/** What a balancer may look at. The shared upstream table satisfies it. */
export interface Loads {
  /** Next value of the round-robin cursor all threads share. */
  turn(): number;
  inFlight(upstream: number): number;
  weight(upstream: number): number;
}

export interface Balancer {
  readonly name: string;
  /** One of `candidates` (never empty, configured order). `chance` is uniform in [0, 1). */
  pick(candidates: readonly number[], loads: Loads, chance: number): number;
}
