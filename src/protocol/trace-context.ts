/**
 * W3C Trace Context: what a client says about the trace its request belongs to, and what we say to an upstream.
 * https://www.w3.org/TR/trace-context/ (section 3.2 traceparent, 3.3 tracestate). Pure: span ids are drawn by whoever calls.
 */

/** Where a stream hangs in a trace: ids as lower-case hex, never all zero. Plain data: it crosses threads. */
export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: string;
  /** 8 bytes: the span that caused it. */
  readonly parentId: string;
  /** Bit 0: the caller records this trace. */
  readonly flags: number;
  /** The tracestate that came with it, bounded. */
  readonly state?: string;
}

export const SAMPLED = 1;

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const STATE_CHARS_MAX = 512;
const STATE_MEMBERS_MAX = 32;

/**
 * Undefined for whatever breaks the grammar: the trace then starts anew, as the recommendation asks. Versions we do not know are read
 * as far as we know them; version 00 must end where it ends.
 */
export function parseTraceparent(
  header: string | undefined,
  state?: string,
): TraceContext | undefined {
  if (header === undefined || header.length > STATE_CHARS_MAX) return undefined;
  const found = SHAPE.exec(header);
  if (!found) return undefined;
  const [, version, traceId, parentId, flags, more] = found;
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (isZero(traceId) || isZero(parentId)) return undefined;
  const bounded = boundTracestate(state);
  return {
    traceId,
    parentId,
    // Of a later version only the bit that every version has is known.
    flags: Number.parseInt(flags, 16) & SAMPLED,
    ...(bounded === undefined ? {} : { state: bounded }),
  };
}

/** The header for one attempt: `spanId` is the attempt's own. */
export function formatTraceparent(traceId: string, spanId: string, flags: number): string {
  return `00-${traceId}-${spanId}-${(flags & 0xff).toString(16).padStart(2, '0')}`;
}

/** What may be passed on of a tracestate: whole members from the left, the oldest go first. Undefined: nothing. */
export function boundTracestate(state: string | undefined): string | undefined {
  if (state === undefined || !/^[\x20-\x7e\t]+$/.test(state)) return undefined;
  const kept: string[] = [];
  let chars = -1;
  for (const member of state.slice(0, 2 * STATE_CHARS_MAX).split(',')) {
    const text = member.trim();
    if (text === '') continue;
    chars += text.length + 1;
    if (chars > STATE_CHARS_MAX || kept.length === STATE_MEMBERS_MAX) break;
    if (!MEMBER.test(text)) return undefined;
    kept.push(text);
  }
  return kept.length === 0 ? undefined : kept.join(',');
}

/** Section 3.3.1.3: key=value; a key in lower case, with an @ at most once. */
const MEMBER =
  /^[a-z0-9][a-z0-9_\-*/]{0,255}(?:@[a-z][a-z0-9_\-*/]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

function isZero(hex: string): boolean {
  return /^0+$/.test(hex);
}
