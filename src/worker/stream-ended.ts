/** A stream's whole story as a fact, told once, when it ends. */
import type { MillraceError } from '../errors.ts';
import type { Turn } from '../protocol/dialect.ts';
import type { TraceContext } from '../protocol/trace-context.ts';
import type { AttemptFact, StreamEnded } from '../threads/facts.ts';
import type { RunningAttempt } from './running-attempt.ts';
import type { StreamTrace } from './stream-trace.ts';
import type { Outlet } from './tap.ts';

/** What is said about a stream when it ends. */
export interface StreamFacts {
  readonly turn: Turn;
  readonly dialect: string;
  readonly principal: string;
  /** What the operator calls the session's key. */
  readonly keyName: string | undefined;
  /** The trace it belongs to, as its message or its session said. */
  readonly trace?: TraceContext | undefined;
}

/** What the stream itself knows. */
export interface Ended {
  readonly facts: StreamFacts;
  readonly tap: Outlet;
  readonly worker: number;
  /** The attempt whose answer it was, or the last one. */
  readonly run: RunningAttempt | undefined;
  /** Deltas of an answer that another upstream went on with. */
  readonly deltasBefore: number;
  readonly attempts: number;
  readonly tries: readonly AttemptFact[];
  readonly outcome: StreamEnded['outcome'];
  readonly error: MillraceError | undefined;
  readonly cause: StreamEnded['cause'];
  readonly startedWallMs: number;
  readonly firstDeltaMs: number;
  readonly pausedMs: number;
  readonly durationMs: number;
  readonly trace: StreamTrace | undefined;
}

const noUsage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };

export function streamEnded(ended: Ended): StreamEnded {
  const { facts, tap, worker, run, outcome, error, cause, trace } = ended;
  const { turn, dialect, principal, keyName } = facts;
  const { address, frames, bytes } = tap;
  const attempt = run?.attempt;
  const deltas = attempt?.deltas ?? 0;
  return {
    fact: 'stream-ended',
    session: address.slot,
    generation: address.generation,
    stream: address.stream,
    responseId: turn.responseId,
    lane: turn.lane,
    principal,
    ...(keyName !== undefined && { keyName }),
    dialect,
    model: clipped(turn.model),
    upstream: run?.upstream.options.name ?? '',
    provider: run?.provider ?? '',
    worker,
    attempts: ended.attempts,
    tries: ended.tries,
    outcome,
    ...(cause && { cause }),
    ...(attempt?.finishReason && { finishReason: attempt.finishReason }),
    ...(error && { error: error.toWire() }),
    ...(attempt?.usage ?? noUsage),
    frames,
    bytes,
    deltas: ended.deltasBefore + deltas,
    startedWallMs: ended.startedWallMs,
    firstDeltaMs: ended.firstDeltaMs,
    meanGapMs: attempt?.story.meanGapMs(deltas) ?? -1,
    maxGapMs: deltas > 1 ? (attempt?.story.maxGapMs ?? -1) : -1,
    pausedMs: ended.pausedMs,
    durationMs: ended.durationMs,
    ...(trace && { trace: trace.fact }),
  };
}

/** Names no longer than this: an upstream that names no models takes any that a client writes. */
const MODEL_CHARS_MAX = 128;

const clipped = (model: string) =>
  model.length <= MODEL_CHARS_MAX ? model : `${model.slice(0, MODEL_CHARS_MAX)}…`;
