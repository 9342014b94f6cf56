/** `POST /v1/tickets`: a key in, a ticket out. Pages of other sites may ask where `server.allowedOrigins` names them. */
import { MillraceError } from '../errors.ts';
import type { Clock } from '../policy/ports.ts';
import { type Accept, refusal, type Soon } from './accept.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { preflightHeaders, readable } from './cors.ts';
import type { Ticket } from './tickets.ts';

export function createTicketRoute(
  accept: Accept,
  clock: Clock,
): (head: RequestHead) => Soon<HttpReply> {
  function answer(head: RequestHead, issued: Ticket | MillraceError): HttpReply {
    const reply = issued instanceof MillraceError ? refusal(issued) : issuedReply(issued, clock);
    return readable(head, reply);
  }

  return (head) => {
    if (!accept.issuesTickets) return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (!accept.originAllowed(head))
      return refusal(new MillraceError('MILLRACE_ORIGIN_FORBIDDEN', {}));
    if (head.method === 'OPTIONS')
      return { status: 200, headers: preflightHeaders(head, 'POST'), body: '' };
    if (head.method !== 'POST')
      return refusal(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
    const issued = accept.issueTicket(head, clock.now());
    if (!(issued instanceof Promise)) return answer(head, issued);
    return issued.then((settled) => answer(head, settled));
  };
}

function issuedReply({ ticket, ttlMs }: Ticket, clock: Clock): HttpReply {
  const expiresAt = Math.floor((clock.wall() + ttlMs) / 1_000);
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify({ ticket, expires_at: expiresAt }),
  };
}
