/** GET /v1/models, in the shape that OpenAI's clients list. */
import { MillraceError } from '../errors.ts';
import { SOCKET_PROVIDER } from '../options/names.ts';
import type { Options } from '../options/schema.ts';
import { modelAllowed } from '../policy/rights.ts';
import type { Rights } from '../threads/messages.ts';
import { refusal } from './accept.ts';
import type { HttpReply } from './backend/backend.ts';

const ID_CHARS_MAX = 128;

export const MODELS_PATH = '/v1/models';

/**
 * Every model that an upstream names, once, in the order of the configuration. Models behind an upstream that names none
 * are served but not listed: nobody here knows them. `rights`: of whoever asks; the others are not there for it.
 */
export function modelsReply(options: Options, rights?: Rights): HttpReply {
  const ids = new Set(options.upstreams.flatMap(({ models }) => models));
  const data = [...ids].filter((id) => modelAllowed(rights?.models, id)).map(modelOf);
  return reply({ object: 'list', data });
}

/** GET /v1/models/{id}: also a model that no upstream names, where one takes any. `encoded`: as it stands in the path. */
export function modelReply(options: Options, encoded: string, rights?: Rights): HttpReply {
  const id = decode(encoded);
  const served = options.upstreams.some(
    ({ provider, models }) =>
      provider !== SOCKET_PROVIDER && (models.length === 0 || models.includes(id)),
  );
  if (served && id !== '' && modelAllowed(rights?.models, id)) return reply(modelOf(id));
  const model = id.slice(0, ID_CHARS_MAX);
  const available = 'GET /v1/models lists them';
  return refusal(new MillraceError('MILLRACE_MODEL_NOT_FOUND', { model, available }));
}

function modelOf(id: string): object {
  return { id, object: 'model', created: 0, owned_by: 'millrace' };
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

function reply(body: object): HttpReply {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(body),
  };
}
