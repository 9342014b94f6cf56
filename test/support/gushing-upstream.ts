/** An upstream that answers with a few huge deltas as fast as it is read, and knows how much of it was taken. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';

export interface GushingUpstream {
  readonly url: string;
  /** Answers begun, and answers taken to their end. */
  readonly begun: number;
  readonly taken: number;
  close(): Promise<void>;
}

/** The n-th delta of every answer. */
export function deltaText(n: number, bytes: number): string {
  return `${n}:`.padEnd(bytes, String.fromCharCode(97 + (n % 26)));
}

export async function startGushingUpstream(
  deltas: number,
  bytes: number,
): Promise<GushingUpstream> {
  const count = { begun: 0, taken: 0 };
  const chunk = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gush',
      choices: [{ index: 0, delta, finish_reason: finish }],
    })}\n\n`;
  const room = (response: ServerResponse) =>
    new Promise<void>((resolve) => {
      const done = () => {
        response.off('drain', done).off('close', done);
        resolve();
      };
      response.on('drain', done).on('close', done);
    });
  async function gush(response: ServerResponse): Promise<void> {
    count.begun++;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let n = 0; n < deltas && !response.destroyed; n++) {
      if (!response.write(chunk({ content: deltaText(n, bytes) }, null))) {
        await room(response);
      }
    }
    if (response.destroyed) return;
    response.on('finish', () => void count.taken++);
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  }
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => void gush(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/v1`,
    get begun() {
      return count.begun;
    },
    get taken() {
      return count.taken;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
