/**
 * Which upstream next. A balancer is pure but for what it caches: it sees the candidates as indexes, reads their loads, and answers one of them.
 */

/** What a balancer may look at. The shared upstream table satisfies it. */
export interface Loads {
  /** Next value of this thread's cursor for the key: one per model, or two models that alternate would always meet the same upstream. */
  turn(key: number): number;
  /** Streams running there now, over all threads. */
  inFlight(upstream: number): number;
  /** The same for several at once, in their order. */
  inFlightOf(upstreams: readonly number[], into: Float64Array): void;
  /** Relative share, 1 to 65535. */
  weight(upstream: number): number;
  /** Changes whenever a weight does. */
  epoch(): number;
  /** Peak-EWMA of the time to the first token, in microseconds; 0 = nobody has measured it. */
  firstTokenUs(upstream: number, nowMs: number): number;
}

/** One decision. */
export interface Draw {
  /** Which cursor: the model's number. */
  readonly key: number;
  /** Uniform in [0, 1). */
  readonly chance: number;
  readonly nowMs: number;
}

export interface Balancer {
  readonly name: string;
  /**
   * One of `candidates` (never empty, configured order). The same array again is the fast case: what was prepared for it is kept.
   */
  pick(candidates: readonly number[], loads: Loads, draw: Draw): number;
}
