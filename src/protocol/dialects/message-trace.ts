/**
 * The trace that a client's message says it belongs to: a WebSocket has headers only once, so clients put them into the message.
 * Agents write them as `client_metadata.ws_request_header_traceparent`; `metadata.traceparent` is what can be written by hand.
 */
import { parseTraceparent, type TraceContext } from '../trace-context.ts';
import type { Fields } from './fields.ts';

const places = ['client_metadata', 'metadata'] as const;
const prefixes = ['ws_request_header_', ''] as const;

/** Never throws: a trace context that breaks its grammar is none. */
export function messageTrace(fields: Fields): TraceContext | undefined {
  for (const place of places) {
    const at = fields.raw(place);
    if (typeof at !== 'object' || at === null) continue;
    for (const prefix of prefixes) {
      const trace = parseTraceparent(
        text(at, `${prefix}traceparent`),
        text(at, `${prefix}tracestate`),
      );
      if (trace) return trace;
    }
  }
  return undefined;
}

function text(of: object, name: string): string | undefined {
  const value: unknown = Object.hasOwn(of, name)
    ? (of as Record<string, unknown>)[name]
    : undefined;
  return typeof value === 'string' ? value : undefined;
}
