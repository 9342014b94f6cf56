/** Where each dialect is served. */
import { z } from 'zod';

export const paths = z.strictObject({
  responses: z
    .string()
    .startsWith('/')
    .default('/v1/responses')
    .describe('Path of the OpenAI Responses API: WebSocket mode, and POST over HTTP.'),
  completions: z
    .string()
    .startsWith('/')
    .default('/v1/chat/completions')
    .describe('Path of the Chat Completions API, POST over HTTP.'),
  chat: z
    .string()
    .startsWith('/')
    .default('/chat')
    .describe('Path of the plain JSON chat for hand-written pages.'),
  proxy: z
    .string()
    .startsWith('/')
    .default('/proxy')
    .describe(
      'Path that is carried on to WebSocket back ends; served if there are any at the start.',
    ),
  echo: z.string().startsWith('/').default('/ws').describe('Path of the echo.'),
});
