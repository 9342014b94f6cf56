/** What main counts: indexes into its counter block, resolved once. */
import { type RefusalReason, refusalReasons } from '../codec/negotiate.ts';
import type { Code } from '../errors.ts';
import { codes } from '../errors.ts';
import type { CounterBlock } from '../memory/contract.ts';
import { latencyBounds, type Schedule, threadNames } from '../observe/metrics.ts';
import type { DialectName } from '../options/names.ts';
import {
  type LimitScope,
  type LimitVerdictName,
  limitScopes,
  limitVerdicts,
} from '../policy/limit/limit-scopes.ts';
import { type Stage, stages } from '../stages.ts';

export class Counts {
  readonly #block: CounterBlock;
  readonly #schedule: Schedule;
  readonly #sent: number;
  readonly #received: number;
  readonly #bytesIn: number;
  readonly #bytesOut: number;
  readonly #latency: number;
  readonly #limits: number;
  readonly #admit: number;
  readonly #stage: Readonly<Record<Stage, number>>;

  constructor(block: CounterBlock, schedule: Schedule) {
    this.#block = block;
    this.#schedule = schedule;
    this.#sent = schedule.index('websocket_messages_sent_total');
    this.#received = schedule.index('websocket_messages_received_total');
    this.#bytesIn = schedule.index('millrace_bytes_total', 0);
    this.#bytesOut = schedule.index('millrace_bytes_total', 1);
    this.#latency = schedule.index('websocket_latency_seconds');
    this.#limits = schedule.index('millrace_limit_checks_total');
    this.#admit = schedule.index('millrace_stage_total', indexOfStage('admit'));
    this.#stage = Object.fromEntries(
      stages.map(({ name }, at) => [name, schedule.index('millrace_stage_total', at)]),
    ) as Record<Stage, number>;
  }

  /** A client message at the stage admit. */
  received(bytes: number): void {
    this.#block.add(this.#received);
    this.#block.add(this.#admit);
    this.#block.add(this.#bytesIn, bytes);
  }

  sent(messages: number, bytes: number): void {
    this.#block.add(this.#sent, messages);
    this.#block.add(this.#bytesOut, bytes);
  }

  stage(name: Stage, n = 1): void {
    this.#block.add(this.#stage[name], n);
  }

  /** From a request to its first delta at the socket. */
  firstDelta(ms: number): void {
    this.#block.observe(this.#latency, latencyBounds, ms / 1000);
  }

  /** `sessions` are open after one of this dialect opened. */
  opened(dialect: DialectName, sessions: number): void {
    this.#add('millrace_sessions_opened_total', this.#schedule.dimensions.dialect.indexOf(dialect));
    this.sessions(sessions);
  }

  sessions(open: number): void {
    this.#block.set(this.#schedule.index('websocket_connections_total'), open);
  }

  load(bytes: number, isRefusing: boolean): void {
    this.#block.set(this.#schedule.index('millrace_memory_bytes'), bytes);
    this.#block.set(this.#schedule.index('millrace_refusing'), isRefusing ? 1 : 0);
  }

  held(bytes: number): void {
    this.#block.set(this.#schedule.index('millrace_held_bytes'), bytes);
  }

  limit(scope: LimitScope, verdict: LimitVerdictName): void {
    const series = limitScopes.indexOf(scope) * limitVerdicts.length;
    this.#block.add(this.#limits + series + limitVerdicts.indexOf(verdict));
  }

  refused(code: Code): void {
    this.#add('millrace_handshakes_refused_total', codes.indexOf(code));
    this.error(code);
  }

  /** A client's wish for an encoding was not granted. */
  encodingRefused(reason: RefusalReason): void {
    this.#add('millrace_encodings_refused_total', refusalReasons.indexOf(reason));
  }

  error(code: Code): void {
    this.#add('websocket_errors_total');
    this.#add('millrace_errors_total', codes.indexOf(code));
  }

  /** The loop of main turns so late. */
  lag(ms: number): void {
    const at = this.#schedule.index('millrace_loop_lag_seconds', threadNames.indexOf('main'));
    this.#block.set(at, ms / 1000);
  }

  backpressure(): void {
    this.#add('millrace_backpressure_total');
  }
  slowClient(): void {
    this.#add('millrace_slow_clients_total');
  }
  ringFull(): void {
    this.#add('millrace_ring_full_total');
  }
  routeAbandoned(): void {
    this.#add('millrace_routes_abandoned_total');
  }
  workerLost(): void {
    this.#add('millrace_workers_lost_total');
  }
  rerun(): void {
    this.#add('millrace_reruns_total');
  }

  #add(name: Parameters<Schedule['index']>[0], label = 0): void {
    this.#block.add(this.#schedule.index(name, label));
  }
}

function indexOfStage(name: Stage): number {
  return stages.findIndex((stage) => stage.name === name);
}
