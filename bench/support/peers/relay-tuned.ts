/**
 * The same relay, tuned by somebody who knows: undici dispatch instead of fetch, one indexOf per token instead of a parser and
 * JSON.parse, the delta spliced into a ready frame still escaped, and the writes of one read corked together.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Agent } from 'undici';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Ask, Responses } from './responses.ts';
import { ready, settings } from './serve.ts';

const { upstream } = settings() as { upstream: string };
const { origin, pathname } = new URL(upstream);
const agent = new Agent({ connections: 4096, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
const KEY = '"content":"';

/** Reads whole events out of what came; returns what is left over. */
class Scan {
  #left = '';
  readonly #delta: (escaped: string) => void;

  constructor(delta: (escaped: string) => void) {
    this.#delta = delta;
  }

  feed(text: string): void {
    const all = this.#left + text;
    let at = 0;
    for (;;) {
      const end = all.indexOf('\n\n', at);
      if (end < 0) break;
      const key = all.indexOf(KEY, at);
      if (key >= 0 && key < end) {
        let close = all.indexOf('"', key + KEY.length);
        while (all.charCodeAt(close - 1) === 92) close = all.indexOf('"', close + 1);
        if (close > key + KEY.length) this.#delta(all.slice(key + KEY.length, close));
      }
      at = end + 2;
    }
    this.#left = all.slice(at);
  }
}

function answer(client: WebSocket, socket: Socket, ask: Ask): () => void {
  const id = `resp_${randomBytes(16).toString('hex')}`;
  const out = new Responses(id, ask.model, (event) => client.send(JSON.stringify(event)));
  const head = '{"type":"response.output_text.delta","sequence_number":';
  const middle = `,"item_id":"${id.replace('resp_', 'msg_')}","output_index":0,"content_index":0,"delta":"`;
  let sequence = 4;
  let text = '';
  const scan = new Scan((escaped) => {
    text += escaped;
    client.send(`${head}${sequence++}${middle}${escaped}","logprobs":[]}`);
  });
  let abort: ((reason: Error) => void) | undefined;
  const body = JSON.stringify({
    model: ask.model,
    messages: [{ role: 'user', content: ask.input }],
    stream: true,
    stream_options: { include_usage: true },
  });
  agent.dispatch(
    {
      origin,
      path: `${pathname}/chat/completions`,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body,
    },
    {
      onRequestStart(controller) {
        abort = (reason) => controller.abort(reason);
      },
      onResponseStart() {
        out.begin();
      },
      onResponseData(_controller, chunk) {
        socket.cork();
        scan.feed(chunk.toString('utf8'));
        socket.uncork();
      },
      onResponseEnd() {
        out.rest(sequence, JSON.parse(`"${text}"`) as string);
      },
      onResponseError() {
        client.terminate();
      },
    },
  );
  return () => abort?.(new Error('the client left'));
}

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (client, request) => {
  let stop: (() => void) | undefined;
  client.on('error', () => {});
  client.on('close', () => stop?.());
  client.on('message', (data) => {
    const ask = JSON.parse((data as Buffer).toString()) as Ask;
    stop = answer(client, request.socket, ask);
  });
});
http.listen(0, '127.0.0.1', () => ready((http.address() as AddressInfo).port));
