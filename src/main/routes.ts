/** Plain HTTP on the gateway's port: the model list, the demo's page, and a clear word for everybody else. */
import { readFileSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import { type Accept, refusal, type Soon } from './accept.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { isPreflight, preflightHeaders } from './cors.ts';
import type { Identity } from './keyring.ts';
import { modelReply, modelsReply } from './models.ts';
import { servedPaths } from './served-paths.ts';
import { createTicketRoute } from './ticket-route.ts';

const MODELS = '/v1/models';
const PAGE = new URL('./page/index.html', import.meta.url);

export function createRoutes(
  options: Options,
  accept: Accept,
  clock: Clock,
  paths = servedPaths(options),
): (head: RequestHead) => Soon<HttpReply> {
  const page = options.server.page ? pageReply() : undefined;
  const models = (head: RequestHead): Soon<HttpReply> => {
    const found = accept.identify(head, clock.now());
    const told = (who: Identity | MillraceError) => {
      if (who instanceof MillraceError) return refusal(who);
      return head.path === MODELS
        ? modelsReply(options, who.rights)
        : modelReply(options, head.path.slice(MODELS.length + 1), who.rights);
    };
    return found instanceof Promise ? found.then(told) : told(found);
  };
  const tickets = createTicketRoute(accept, clock);
  return (head) => {
    if (head.path === options.tickets.path) return tickets(head);
    const posts = paths.postOf(head.path) !== undefined;
    const socket = paths.dialectOf(head.path) !== undefined;
    const isModels = head.path === MODELS || head.path.startsWith(`${MODELS}/`);
    const isPage = head.path === '/' && page !== undefined;
    if (!posts && !socket && !isModels && !isPage)
      return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (isPreflight(head) && accept.originAllowed(head))
      return { status: 204, headers: preflightHeaders(head, 'GET, HEAD, POST'), body: '' };
    const reads = head.method === 'GET' || head.method === 'HEAD';
    // Where a POST is answered too, only what reads may have meant the WebSocket.
    if (socket && (reads || !posts))
      return refusal(new MillraceError('MILLRACE_UPGRADE_REQUIRED', {}));
    if (posts || !reads) return unsupported(posts ? 'POST' : 'GET, HEAD');
    return isModels ? models(head) : (page as HttpReply);
  };
}

function unsupported(allowed: string): HttpReply {
  const reply = refusal(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
  return { ...reply, headers: { ...reply.headers, Allow: allowed } };
}

function pageReply(): HttpReply {
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      // The page loads nothing and talks to its own host alone.
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; frame-ancestors 'none'",
    },
    body: readFileSync(PAGE),
  };
}
