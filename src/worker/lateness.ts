/** Which clock ran out, by the phase an attempt is in. */
import type { Code } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Phase } from './attempt-parts.ts';

export type LateCode = Extract<
  Code,
  | 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT'
  | 'MILLRACE_UPSTREAM_FIRST_TIMEOUT'
  | 'MILLRACE_UPSTREAM_GAP_TIMEOUT'
>;

/** `first`: the first delta's clock ran out. Undefined: it is no failure of the upstream. */
export function lateness(
  phase: Phase,
  first: boolean,
  { connectTimeoutMs, headersTimeoutMs, firstDeltaTimeoutMs, gapTimeoutMs }: Options['stream'],
): { readonly code: LateCode; readonly limitMs: number } | undefined {
  switch (phase) {
    case 'connect':
    case 'headers': {
      if (first) return { code: 'MILLRACE_UPSTREAM_FIRST_TIMEOUT', limitMs: firstDeltaTimeoutMs };
      const limitMs = phase === 'connect' ? connectTimeoutMs : headersTimeoutMs;
      return { code: 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT', limitMs };
    }
    case 'first':
      return { code: 'MILLRACE_UPSTREAM_FIRST_TIMEOUT', limitMs: firstDeltaTimeoutMs };
    case 'gap':
    case 'asking':
      return { code: 'MILLRACE_UPSTREAM_GAP_TIMEOUT', limitMs: gapTimeoutMs };
    default:
      return undefined;
  }
}
