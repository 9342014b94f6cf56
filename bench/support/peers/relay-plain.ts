/**
 * The relay as one writes it: `ws`, fetch, eventsource-parser, JSON.parse and JSON.stringify on one thread. undici's own fetch,
 * which is cheaper than the one built into Node 20.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createParser } from 'eventsource-parser';
import { Agent, fetch } from 'undici';
import { type WebSocket, WebSocketServer } from 'ws';
import { must } from '../../../src/must.ts';
import { type Ask, Responses } from './responses.ts';
import { ready, settings } from './serve.ts';

interface Chunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

const { upstream } = settings() as { upstream: string };
const dispatcher = new Agent({ connections: 4096, pipelining: 1 });

async function answer(client: WebSocket, ask: Ask, stop: AbortSignal): Promise<void> {
  const id = `resp_${randomBytes(16).toString('hex')}`;
  const out = new Responses(id, ask.model, (event) => client.send(JSON.stringify(event)));
  const reply = await fetch(`${upstream}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({
      model: ask.model,
      messages: [{ role: 'user', content: ask.input }],
      stream: true,
      stream_options: { include_usage: true },
    }),
    dispatcher,
    signal: stop,
  });
  must(reply.ok && reply.body, 'the upstream answers');
  out.begin();
  const parser = createParser({
    onEvent(event) {
      if (event.data === '[DONE]') return;
      const chunk = JSON.parse(event.data) as Chunk;
      if (chunk.usage) out.usage = chunk.usage;
      const text = chunk.choices[0]?.delta.content;
      if (text) out.delta(text);
    },
  });
  const decoder = new TextDecoder();
  for await (const bytes of reply.body) {
    parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
  }
  out.end();
}

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (client) => {
  const stop = new AbortController();
  client.on('error', () => {});
  client.on('close', () => stop.abort());
  client.on('message', (data) => {
    const ask = JSON.parse((data as Buffer).toString()) as Ask;
    answer(client, ask, stop.signal).catch(() => client.terminate());
  });
});
http.listen(0, '127.0.0.1', () => ready((http.address() as AddressInfo).port));
