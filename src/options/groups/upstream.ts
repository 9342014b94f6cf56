/** One place where answers come from. */
import { z } from 'zod';
import { providerNames, readerNames, resumptionNames, SOCKET_PROVIDER } from '../names.ts';
import { count } from './scalars.ts';

export const upstream = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/)
    .describe('Name in logs, metrics and errors.'),
  provider: z
    .string()
    .min(1)
    .default('openai-chat')
    .describe(
      `Wire protocol of the upstream: ${providerNames.join(', ')}, or a name under providers; ${SOCKET_PROVIDER}: a WebSocket back end, for the clients of paths.proxy.`,
    ),
  url: z
    .url({ protocol: /^(https?|wss?)$/ })
    .describe(
      'Base URL, up to and including /v1 (for ollama: without a path); of a WebSocket back end: its address, ws:// or wss://. With ws:// or wss://, openai-responses is asked over its WebSocket, which is kept for the next turns.',
    ),
  apiKey: z
    .string()
    .optional()
    .describe(
      'Key sent as Authorization: Bearer, or as the provider wants it (anthropic: x-api-key).',
    ),
  apiKeys: z
    .array(z.string().min(1))
    .max(15)
    .default([])
    .describe(
      'More keys for the same upstream, used in turn with apiKey: a limited key rests alone, one that is refused for five minutes.',
    ),
  models: z
    .array(z.string().min(1))
    .default([])
    .describe('Models it serves; none means every model that no other upstream names.'),
  resume: z
    .enum(resumptionNames)
    .default('none')
    .describe(
      'How an answer that breaks off after its first delta goes on at the same upstream, unseen by the client: llama (openai-chat, for llama.cpp: its server keeps the answer for a while), background (openai-responses: requests get store and background, and the response is deleted in the end) or none.',
    ),
  continues: z
    .boolean()
    .default(false)
    .describe(
      'Takes over an answer that broke off at another upstream behind its first delta, with what was said so far as the beginning of its own: the server must go on with a last message of the assistant. Only plain text, once; the last frame says so.',
    ),
  continuesById: z
    .boolean()
    .default(false)
    .describe(
      'Over a kept socket of the Responses API a turn is sent as previous_response_id and what is new where it goes on with the last response there, not whole: for servers that keep that response (store is false) and refuse an id they do not know; one that ignores it would answer without the conversation.',
    ),
  reader: z
    .enum(readerNames)
    .default('auto')
    .describe(
      'What reads its HTTP/1.1 answers: auto (the reader of millrace: strict, and cheaper) or undici, for an upstream that auto refuses as MILLRACE_UPSTREAM_RESET and you trust all the same.',
    ),
  weight: count(1, 1, 65_535).describe('Relative share for weighted strategies.'),
  minConnections: count(5, 1, 65_536).describe(
    'Places it always has, over all workers; at most maxConnections.',
  ),
  maxConnections: count(50, 1, 65_536).describe('Streams at once, over all workers.'),
  reuse: z
    .boolean()
    .default(false)
    .describe(
      'WebSocket back ends only: after a client has closed in order, its connection serves the next client.',
    ),
  healthPath: z
    .string()
    .startsWith('/')
    .optional()
    .describe('Path probed with GET, from the origin; absent: a connection is enough.'),
  healthCheck: z
    .enum(['http', 'tcp', 'tls', 'ping'])
    .optional()
    .describe(
      'How it is probed: GET of healthPath, a TCP connection, a TLS handshake, or a ping over a WebSocket (back ends only); absent: http where healthPath is set, else a connection, with its handshake where the URL is https:// or wss://.',
    ),
});
