/** Plain HTTP on the gateway's port: the model list, the demo's page, and a clear word for everybody else. */
import { readFileSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import { type Accept, refusal, type Soon } from './accept.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import type { Identity } from './keyring.ts';
import { modelsReply } from './models.ts';
import { servedPaths } from './served-paths.ts';
import { createTicketRoute } from './ticket-route.ts';

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
    return found instanceof Promise ? found.then(listed) : listed(found);
  };
  const listed = (found: Identity | MillraceError) =>
    found instanceof MillraceError ? refusal(found) : modelsReply(options, found.rights);
  const tickets = createTicketRoute(accept, clock);
  return (head) => {
    if (head.path === options.tickets.path) return tickets(head);
    if (paths.dialectOf(head.path) !== undefined)
      return refusal(new MillraceError('MILLRACE_UPGRADE_REQUIRED', {}));
    const isModels = head.path === '/v1/models';
    if (!isModels && !(head.path === '/' && page))
      return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (head.method !== 'GET' && head.method !== 'HEAD')
      return refusal(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
    return isModels ? models(head) : (page as HttpReply);
  };
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
