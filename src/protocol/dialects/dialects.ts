/** The client-side protocols, by the name that options and metrics use. */
import type { Dialect } from '../dialect.ts';
import { chat } from './chat.ts';
import { responses } from './responses/responses.ts';
import { route } from './route.ts';

export const dialects: Readonly<Record<'responses' | 'chat' | 'route', Dialect>> = {
  responses,
  chat,
  route,
};
