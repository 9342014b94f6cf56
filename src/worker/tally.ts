/** The counters of a worker, by name: indexes are resolved once, counting is an addition. */
import { type EncodingName, encodingNames } from '../codec/negotiate.ts';
import { type Code, codes } from '../errors.ts';
import type { CounterBlock } from '../memory/contract.ts';
import {
  boundsOf,
  type HistogramName,
  latencyBounds,
  type outcomes,
  type Schedule,
  servedAt,
  threadNames,
  tokenTypes,
} from '../observe/metrics.ts';
import {
  type LimitScope,
  type LimitVerdictName,
  limitScopes,
  limitVerdicts,
} from '../policy/limit/limit-scopes.ts';
import { stages } from '../stages.ts';

export class Tally {
  readonly #block: CounterBlock;
  readonly #schedule: Schedule;
  readonly #deltas: number;
  readonly #merged: number;
  readonly #running: number;
  #streams = 0;
  #isMuted = false;

  constructor(block: CounterBlock, schedule: Schedule) {
    this.#block = block;
    this.#schedule = schedule;
    this.#deltas = schedule.index('millrace_deltas_total');
    this.#merged = schedule.index('millrace_deltas_coalesced_total');
    this.#running = schedule.index('millrace_streams_running');
  }

  /** The block is another incarnation's from here on: what still ends here is counted by nobody. */
  mute(): void {
    this.#isMuted = true;
  }

  deltas(n: number): void {
    this.#add(this.#deltas, n);
  }

  merged(): void {
    this.#add(this.#merged);
  }

  fallback(): void {
    this.#add(this.#schedule.index('millrace_scan_fallback_total'));
  }

  /** Streams running now. */
  get running(): number {
    return this.#streams;
  }

  started(dialect: string): void {
    const at = this.#schedule.dimensions.dialect.indexOf(dialect);
    this.#add(this.#schedule.index('millrace_streams_started_total', Math.max(0, at)));
    this.#stage('route');
    this.#run(1);
  }

  ended(outcome: (typeof outcomes)[number], durationMs: number): void {
    const at = this.#schedule.dimensions.outcome.indexOf(outcome);
    this.#add(this.#schedule.index('millrace_streams_ended_total', at));
    this.#observe(this.#schedule.index('millrace_stream_seconds'), durationMs);
    this.#run(-1);
  }

  attempt(upstream: number): void {
    this.#add(this.#schedule.index('millrace_upstream_attempts_total', upstream));
    this.#stage('stream');
  }

  attemptFailed(upstream: number): void {
    this.#add(this.#schedule.index('millrace_upstream_failures_total', upstream));
  }

  failover(): void {
    this.#add(this.#schedule.index('millrace_failovers_total'));
  }

  /** An upstream is asked for the rest of an answer. */
  resumed(upstream: number): void {
    this.#add(this.#schedule.index('millrace_upstream_resumes_total', upstream));
  }

  hedged(): void {
    this.#add(this.#schedule.index('millrace_hedges_total'));
  }

  hedgeWon(): void {
    this.#add(this.#schedule.index('millrace_hedges_won_total'));
  }

  continued(): void {
    this.#add(this.#schedule.index('millrace_continuations_total'));
  }

  budgetExhausted(): void {
    this.#add(this.#schedule.index('millrace_retry_budget_exhausted_total'));
  }

  firstDelta(upstream: number, ms: number): void {
    this.#observe(this.#schedule.index('millrace_first_delta_seconds', upstream), ms);
  }

  /** One attempt is over. */
  operation(provider: string, model: string, ms: number): void {
    this.#histogram('gen_ai_client_operation_duration_seconds', provider, model, ms / 1000);
  }

  firstChunk(provider: string, model: string, ms: number): void {
    const name = 'gen_ai_client_operation_time_to_first_chunk_seconds';
    this.#histogram(name, provider, model, ms / 1000);
  }

  /** The loop of this thread turns so late. */
  lag(ms: number): void {
    const at = this.#schedule.index('millrace_loop_lag_seconds', threadNames.indexOf('worker'));
    if (!this.#isMuted) this.#block.set(at, ms / 1000);
  }

  tokens(provider: string, model: string, input: number, output: number): void {
    const name = 'gen_ai_client_token_usage';
    this.#histogram(name, provider, model, input, tokenTypes.indexOf('input'));
    this.#histogram(name, provider, model, output, tokenTypes.indexOf('output'));
    const { direction } = this.#schedule.dimensions;
    const inward = this.#schedule.index('millrace_tokens_total', direction.indexOf('in'));
    const outward = this.#schedule.index('millrace_tokens_total', direction.indexOf('out'));
    this.#add(inward, input);
    this.#add(outward, output);
  }

  ringFull(): void {
    this.#add(this.#schedule.index('millrace_ring_full_total'));
  }

  limit(scope: LimitScope, verdict: LimitVerdictName): void {
    const at = [limitScopes.indexOf(scope), limitVerdicts.indexOf(verdict)];
    this.#add(this.#schedule.index('millrace_limit_checks_total', ...at));
  }

  /** One message of a client was compressed (`out`) or inflated (`in`). */
  packed(encoding: EncodingName, direction: 'in' | 'out', plain: number, packed: number): void {
    const at = encodingNames.indexOf(encoding);
    const way = this.#schedule.dimensions.direction.indexOf(direction);
    this.#add(this.#schedule.index('millrace_encoded_bytes_total', at, way), packed);
    this.#add(this.#schedule.index('millrace_decoded_bytes_total', at, way), plain);
    if (direction === 'out') this.#stage('compress');
  }

  overloaded(): void {
    this.#add(this.#schedule.index('millrace_overload_refusals_total'));
  }

  backpressure(): void {
    this.#add(this.#schedule.index('millrace_backpressure_total'));
  }

  abandoned(): void {
    this.#add(this.#schedule.index('millrace_routes_abandoned_total'));
  }

  hookFailed(): void {
    this.#add(this.#schedule.index('millrace_hooks_failed_total'));
  }

  error(code: Code): void {
    this.#add(this.#schedule.index('websocket_errors_total'));
    this.#add(this.#schedule.index('millrace_errors_total', codes.indexOf(code)));
  }

  #add(index: number, n = 1): void {
    if (!this.#isMuted) this.#block.add(index, n);
  }

  #run(n: number): void {
    this.#streams += n;
    if (!this.#isMuted) this.#block.set(this.#running, this.#streams);
  }

  #stage(name: (typeof stages)[number]['name']): void {
    const at = stages.findIndex((stage) => stage.name === name);
    this.#add(this.#schedule.index('millrace_stage_total', at));
  }

  #histogram(
    name: HistogramName,
    provider: string,
    model: string,
    value: number,
    ...more: number[]
  ): void {
    if (this.#isMuted) return;
    const served = servedAt(this.#schedule.dimensions, provider, model);
    this.#block.observe(this.#schedule.index(name, served, ...more), boundsOf(name), value);
  }

  #observe(index: number, ms: number): void {
    if (!this.#isMuted) this.#block.observe(index, latencyBounds, ms / 1000);
  }
}
