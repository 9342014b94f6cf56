/** Plain HTTP on the gateway's port: the model list, the demo's page, and a clear word for everybody else. */
import { readFileSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import type { Options } from '../options/schema.ts';
import { refusal } from './accept.ts';
import type { HttpReply, RequestHead } from './backend/backend.ts';
import { modelsReply } from './models.ts';
import { Paths } from './paths.ts';

const PAGE = new URL('./page/index.html', import.meta.url);

export function createRoutes(
  options: Options,
  paths = new Paths(options.paths),
): (head: RequestHead) => HttpReply {
  const page = options.server.page ? pageReply() : undefined;
  const models = modelsReply(options);
  return (head) => {
    if (paths.dialectOf(head.path) !== undefined)
      return refusal(new MillraceError('MILLRACE_UPGRADE_REQUIRED', {}));
    const reply =
      head.path === '/v1/models' ? models : head.path === '/' && page ? page : undefined;
    if (!reply) return refusal(new MillraceError('MILLRACE_PATH_UNKNOWN', {}));
    if (head.method === 'GET' || head.method === 'HEAD') return reply;
    return refusal(new MillraceError('MILLRACE_METHOD_UNSUPPORTED', {}));
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
