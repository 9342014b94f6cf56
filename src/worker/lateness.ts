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
  if (phase === 'first' || (first && (phase === 'connect' || phase === 'headers')))
    return { code: 'MILLRACE_UPSTREAM_FIRST_TIMEOUT', limitMs: firstDeltaTimeoutMs };
  if (phase === 'connect')
    return { code: 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT', limitMs: connectTimeoutMs };
  if (phase === 'headers')
    return { code: 'MILLRACE_UPSTREAM_CONNECT_TIMEOUT', limitMs: headersTimeoutMs };
  if (phase === 'gap' || phase === 'asking')
    return { code: 'MILLRACE_UPSTREAM_GAP_TIMEOUT', limitMs: gapTimeoutMs };
  return undefined;
}
