/**
 * GET /demo/status: what the demo's page shows of the upstreams, and which attempts of its own responses failed. Only in the demo, beside its page:
 * names and numbers, no addresses, no keys. Of failed attempts only those of responses whose ids the caller knows, so that nobody reads about others.
 */

import { MillraceError } from '../errors.ts';
import type { UpstreamTable } from '../memory/contract.ts';
import { CIRCUITS_PER_UPSTREAM, UpstreamWord } from '../memory/layout.ts';
import type { Schedule } from '../observe/metrics.ts';
import { demoUpstreamNames } from '../options/names.ts';
import { Circuit, circuitState } from '../policy/circuit.ts';
import type { Clock } from '../policy/ports.ts';
import type { Fact } from '../threads/facts.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import type { Configured } from './configured.ts';
import type { Tally } from './tally.ts';

export interface DemoSources {
  readonly configured: Pick<Configured, 'now'>;
  readonly table: UpstreamTable;
  readonly series: Schedule;
  readonly tally: Pick<Tally, 'read'>;
  readonly clock: Clock;
}

interface Failure {
  readonly response: string;
  readonly upstream: string;
  readonly code: string;
  readonly text: string;
  readonly atMs: number;
}

const FAILURES_MAX = 256;
const FIRST_TOKENS_MAX = 65;
const RESPONSES_MAX = 16;
/** A cooldown further ahead is one of the former turn of its 32-bit clock. */
const REST_MS_MAX = 60 * 60 * 1_000;

const simulated: ReadonlySet<string> = new Set(demoUpstreamNames);

export class DemoStatus {
  readonly #sources: DemoSources;
  /** Oldest first. */
  readonly #failures: Failure[] = [];
  /** By upstream, the latest times to a first token in one attempt, oldest first. */
  readonly #firstTokens = new Map<string, number[]>();

  constructor(sources: DemoSources) {
    this.#sources = sources;
  }

  hear(fact: Fact): void {
    if (fact.fact === 'attempt-failed') {
      const { responseId: response, upstream, error } = fact;
      const { code, message: text } = MillraceError.fromWire(error);
      this.#failures.push({ response, upstream, code, text, atMs: this.#sources.clock.now() });
      if (this.#failures.length > FAILURES_MAX) this.#failures.shift();
    }
    if (fact.fact !== 'stream-ended') return;
    for (const { upstream, firstMs } of fact.tries) {
      if (firstMs >= 0) this.#firstToken(upstream, firstMs);
    }
  }

  #firstToken(upstream: string, ms: number): void {
    const times = this.#firstTokens.get(upstream) ?? [];
    times.push(ms);
    if (times.length > FIRST_TOKENS_MAX) times.shift();
    this.#firstTokens.set(upstream, times);
  }

  reply(head: RequestHead): HttpReply {
    const asked = new URLSearchParams(head.query).get('responses') ?? '';
    const ids = new Set(asked.split(',', RESPONSES_MAX));
    const nowMs = this.#sources.clock.now();
    const failures = this.#failures
      .filter(({ response }) => ids.has(response))
      .map(({ atMs, ...failure }) => ({ ...failure, agoMs: Math.round(nowMs - atMs) }));
    return {
      status: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      },
      body: JSON.stringify({ upstreams: this.#upstreams(), failures }),
    };
  }

  #upstreams() {
    const { configured, table, series, tally } = this.#sources;
    const { options, seats } = configured.now;
    const numbers = tally.read();
    const rowed = options.upstreams.map(({ name }, index) => ({ name, at: seats[index].row }));
    return rowed.map(({ name, at }) => ({
      name,
      simulated: simulated.has(name),
      state: this.#state(at),
      circuit: this.#circuit(at),
      inFlight: table.inFlight(at),
      attempts: numbers[series.index('millrace_upstream_attempts_total', at)],
      failed: numbers[series.index('millrace_upstream_failures_total', at)],
      firstTokenMs: median(this.#firstTokens.get(name) ?? []),
      restMs: this.#restMs(at),
    }));
  }

  /** The first reason why it gets no streams, or fewer. */
  #state(at: number): 'up' | 'down' | 'drained' | 'resting' | 'failing' {
    const { table } = this.#sources;
    if (table.get(at, UpstreamWord.health) === 0) return 'down';
    if (table.get(at, UpstreamWord.drained) !== 0) return 'drained';
    if (this.#restMs(at) > 0) return 'resting';
    return this.#circuit(at) === 'closed' ? 'up' : 'failing';
  }

  /** The worst of its circuits: it has one for each model. */
  #circuit(at: number): 'closed' | 'half-open' | 'open' {
    const { table } = this.#sources;
    let worst: 'closed' | 'half-open' = 'closed';
    for (let cell = 0; cell < CIRCUITS_PER_UPSTREAM; cell += 1) {
      const state = circuitState(table.circuit(at, cell));
      if (state === Circuit.open) return 'open';
      if (state === Circuit.halfOpen) worst = 'half-open';
    }
    return worst;
  }

  #restMs(at: number): number {
    const { table, clock } = this.#sources;
    const untilMs = table.get(at, UpstreamWord.cooldownUntil);
    const aheadMs = (untilMs - (clock.wall() | 0)) | 0;
    return untilMs !== 0 && aheadMs > 0 && aheadMs <= REST_MS_MAX ? aheadMs : 0;
  }
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}
