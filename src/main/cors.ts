/** What a browser needs to hear before it shows an answer to a page of another site (Fetch standard, section 3.2). Asked only where Origin is allowed. */
import type { RequestHead } from './backend/backend.ts';

/** How long a browser may remember what it was allowed, in seconds. */
const REMEMBERED_S = 600;

export function corsHeaders(head: RequestHead): Record<string, string> {
  const origin = head.header('origin');
  // Never a wildcard: the answer is for the page that asked, and caches keep the pages apart.
  return origin === undefined ? {} : { 'Access-Control-Allow-Origin': origin, Vary: 'Origin' };
}

export function preflightHeaders(head: RequestHead, methods: string): Record<string, string> {
  return {
    ...corsHeaders(head),
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
    'Access-Control-Max-Age': String(REMEMBERED_S),
  };
}
