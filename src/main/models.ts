/** GET /v1/models, in the shape that OpenAI's clients list. */
import type { Options } from '../options/schema.ts';
import { modelAllowed } from '../policy/rights.ts';
import type { Rights } from '../threads/messages.ts';
import type { HttpReply } from './backend/backend.ts';

/**
 * Every model that an upstream names, once, in the order of the configuration. Models behind an upstream that names none
 * are served but not listed: nobody here knows them. `rights`: of whoever asks; the others are not there for it.
 */
export function modelsReply(options: Options, rights?: Rights): HttpReply {
  const ids = new Set(options.upstreams.flatMap(({ models }) => models));
  const data = [...ids]
    .filter((id) => modelAllowed(rights?.models, id))
    .map((id) => ({ id, object: 'model', created: 0, owned_by: 'millrace' }));
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify({ object: 'list', data }),
  };
}
