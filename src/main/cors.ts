/** What a browser needs to hear before it shows an answer to a page of another site (Fetch standard, section 3.2). Asked only where Origin is allowed. */
import type { HttpReply, RequestHead } from './backend/backend.ts';

/** How long a browser may remember what it was allowed, in seconds. */
const REMEMBERED_S = 600;

export function corsHeaders(head: RequestHead): Record<string, string> {
  const origin = head.header('origin');
  // Never a wildcard: the answer is for the page that asked, and caches keep the pages apart.
  if (origin === undefined) return {};
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': 'Retry-After, X-Request-Id, X-Should-Retry',
    Vary: 'Origin',
  };
}

/** The same reply, for the page to read. */
export function readable(head: RequestHead, reply: HttpReply): HttpReply {
  return { ...reply, headers: { ...reply.headers, ...corsHeaders(head) } };
}

export function isPreflight(head: RequestHead): boolean {
  return head.method === 'OPTIONS' && head.header('access-control-request-method') !== undefined;
}

/** Names of headers, as a browser lists those that a page wants to send: an SDK's own among them. */
const headerNames = /^[a-z0-9-]{1,64}(?:, ?[a-z0-9-]{1,64}){0,31}$/i;

export function preflightHeaders(head: RequestHead, methods: string): Record<string, string> {
  const asked = head.header('access-control-request-headers') ?? '';
  return {
    ...corsHeaders(head),
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': headerNames.test(asked) ? asked : 'Authorization, Content-Type',
    'Access-Control-Max-Age': String(REMEMBERED_S),
  };
}
