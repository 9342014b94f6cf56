/** The client-side protocols, by the name that options and metrics use. */
import type { Dialect } from '../dialect.ts';
import { chat } from './chat.ts';
import { completions } from './completions/completions.ts';
import { parts } from './parts.ts';
import { responses } from './responses/responses.ts';
import { responsesHttp } from './responses-http/responses-http.ts';
import { route } from './route.ts';

export const dialects = {
  responses,
  chat,
  route,
  parts,
  'responses-http': responsesHttp,
  completions,
} as const satisfies Readonly<Record<string, Dialect>>;
