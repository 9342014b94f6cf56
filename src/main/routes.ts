/** Plain HTTP on the gateway's port: the model list, the demo's page, and a clear word for everybody else. */
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import type { Clock } from '../policy/ports.ts';
import { type Accept, refusal, type Soon } from './accept.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { isPreflight, preflightHeaders } from './cors.ts';
import { dictionaryReply, isDictionaryPath } from './dictionary-route.ts';
import type { Identity } from './keyring.ts';
import { MODELS_PATH, modelReply, modelsReply } from './models.ts';
import { pageFiles } from './page-files.ts';
import { servedPaths } from './served-paths.ts';
import { createTicketRoute } from './ticket-route.ts';

export interface Routes {
  answer(head: RequestHead): Soon<HttpReply>;
  /** Other models and another page from the next request on. */
  reconfigure(options: Options): void;
}

/** `demo`: what answers for the demo's page; only asked when there is a demo and its page is served. */
export function createRoutes(
  initial: Options,
  accept: Accept,
  clock: Clock,
  demo: (head: RequestHead) => HttpReply,
  paths = servedPaths(initial),
): Routes {
  let options = initial;
  let replies = repliesOf(options);
  const models = (head: RequestHead): Soon<HttpReply> => {
    const found = accept.identify(head, clock.now());
    const told = (who: Identity | MillraceError) => {
      if (who instanceof MillraceError) return refusal(who);
      return head.path === MODELS_PATH
        ? modelsReply(options, who.rights)
        : modelReply(options, head.path.slice(MODELS_PATH.length + 1), who.rights);
    };
    return found instanceof Promise ? found.then(told) : told(found);
  };
  /** For whoever may come in. */
  const known = (head: RequestHead, reply: (head: RequestHead) => HttpReply): Soon<HttpReply> => {
    const found = accept.identify(head, clock.now());
    const told = (who: Identity | MillraceError) =>
      who instanceof MillraceError ? refusal(who) : reply(head);
    return found instanceof Promise ? found.then(told) : told(found);
  };
  const tickets = createTicketRoute(accept, clock);
  /** What else is served, by path. */
  function repliesOf({ server, demo: { enabled } }: Options) {
    const files = server.page ? pageFiles() : [];
    const all = new Map<string, (head: RequestHead) => Soon<HttpReply>>();
    for (const [path, file] of files) all.set(path, () => file);
    if (server.page && enabled) all.set('/demo/status', (head) => known(head, demo));
    return all;
  }
  const answer = (head: RequestHead): Soon<HttpReply> => {
    if (head.path === options.tickets.path) return tickets(head);
    const posts = paths.postOf(head.path) !== undefined;
    const socket = paths.dialectOf(head.path) !== undefined;
    const isModels = head.path === MODELS_PATH || head.path.startsWith(`${MODELS_PATH}/`);
    const page = replies.get(head.path);
    const isDictionary = !posts && !socket && isDictionaryPath(head.path);
    if (!posts && !socket && !isModels && !page && !isDictionary)
      return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (isPreflight(head) && accept.originAllowed(head))
      return { status: 204, headers: preflightHeaders(head, 'GET, HEAD, POST'), body: '' };
    const reads = head.method === 'GET' || head.method === 'HEAD';
    // Where a POST is answered too, only what reads may have meant the WebSocket.
    if (socket && (reads || !posts))
      return refusal(new MillraceError('MILLRACE_UPGRADE_REQUIRED', {}));
    if (posts || !reads) return unsupported(posts ? 'POST' : 'GET, HEAD');
    if (isDictionary) return dictionaryReply(head.path);
    return page ? page(head) : models(head);
  };
  return {
    answer,
    reconfigure(changed) {
      options = changed;
      replies = repliesOf(options);
    },
  };
}

function unsupported(allowed: string): HttpReply {
  const reply = refusal(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
  return { ...reply, headers: { ...reply.headers, Allow: allowed } };
}
