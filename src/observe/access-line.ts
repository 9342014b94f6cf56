/** A finished stream as one log line: who asked, who answered, how fast, how it ended. Never what was said. */
import type { StreamEnded } from '../threads/facts.ts';

/** A session's name in lines: its slot is used again, its slot and generation are not. */
export function sessionName({
  session,
  generation,
}: {
  session: number;
  generation: number;
}): string {
  return `${session}.${generation >>> 0}`;
}

export function accessLine(fact: StreamEnded): object {
  const { error, trace } = fact;
  return {
    event: 'stream-ended',
    session: sessionName(fact),
    stream: fact.stream,
    response: fact.responseId,
    ...(fact.lane === '' ? {} : { lane: fact.lane }),
    principal: fact.principal,
    ...(fact.keyName === undefined ? {} : { keyName: fact.keyName }),
    dialect: fact.dialect,
    model: fact.model,
    upstream: fact.upstream,
    provider: fact.provider,
    worker: fact.worker,
    outcome: fact.outcome,
    ...(fact.cause && { cause: fact.cause }),
    ...(fact.finishReason && { finishReason: fact.finishReason }),
    ...(error && { error }),
    attempts: fact.attempts,
    tries: fact.tries.map(
      ({ upstream, outcome, startMs, headMs, firstMs, durationMs, spanId }) => ({
        upstream,
        outcome,
        startMs: short(startMs),
        ...happened({ headMs, firstMs, durationMs }),
        ...(spanId && { spanId }),
      }),
    ),
    inputTokens: fact.inputTokens,
    cachedTokens: fact.cachedTokens,
    outputTokens: fact.outputTokens,
    reasoningTokens: fact.reasoningTokens,
    frames: fact.frames,
    bytes: fact.bytes,
    deltas: fact.deltas,
    ...happened({
      firstDeltaMs: fact.firstDeltaMs,
      meanGapMs: fact.meanGapMs,
      maxGapMs: fact.maxGapMs,
      pausedMs: fact.pausedMs,
      durationMs: fact.durationMs,
    }),
    ...(trace && {
      traceId: trace.traceId,
      spanId: trace.spanId,
      ...(trace.parentId && { parentSpanId: trace.parentId }),
    }),
  };
}

/** Microseconds are enough; what did not happen is left out. */
function happened(times: Readonly<Record<string, number>>): Record<string, number> {
  const some = Object.entries(times).filter(([, ms]) => ms >= 0);
  return Object.fromEntries(some.map(([name, ms]) => [name, short(ms)]));
}

function short(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
