/** Which buckets a finished stream is an example of: its length, its first delta, and those of its attempts. */
import { SAMPLED } from '../protocol/trace-context.ts';
import type { StreamEnded } from '../threads/facts.ts';
import type { Exemplars } from './exemplars.ts';
import { type Dimensions, servedAt } from './metrics.ts';

/** Only a trace that somebody records is worth pointing at. */
export function noteStream(exemplars: Exemplars, dimensions: Dimensions, fact: StreamEnded): void {
  const { trace } = fact;
  if (!trace || (trace.flags & SAMPLED) === 0) return;
  const endMs = fact.startedWallMs + fact.durationMs;
  exemplars.note('millrace_stream_seconds', [], fact.durationMs / 1000, trace, endMs);
  for (const { row, provider, spanId = trace.spanId, startMs, firstMs, durationMs } of fact.tries) {
    const span = { traceId: trace.traceId, spanId };
    const atMs = fact.startedWallMs + startMs + durationMs;
    const served = servedAt(dimensions, provider, fact.model);
    const name = 'gen_ai_client_operation_duration_seconds';
    exemplars.note(name, [served], durationMs / 1000, span, atMs);
    if (firstMs < 0) continue;
    exemplars.note('millrace_first_delta_seconds', [row], firstMs / 1000, span, atMs);
    const first = 'gen_ai_client_operation_time_to_first_chunk_seconds';
    exemplars.note(first, [served], firstMs / 1000, span, atMs);
  }
}
