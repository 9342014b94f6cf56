/** An upstream in the driver's own process: says when it wrote each token, and when a socket was closed. The model's name is what it does. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

const TOKENS = 20;
const GAP_MS = 10;

export class TimedUpstream {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #closed: ((atMs: number) => void) | undefined;
  #began: (() => void) | undefined;

  private constructor(resets: boolean) {
    this.#server = createServer((request, response) => {
      if (resets) request.socket.resetAndDestroy();
      else this.#answer(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#closed?.(performance.now());
      });
    });
  }

  /** `resets`: every request is answered with RST. */
  static async start(resets = false): Promise<TimedUpstream> {
    const upstream = new TimedUpstream(resets);
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  get #port(): number {
    this.#known ||= (this.#server.address() as AddressInfo).port;
    return this.#known;
  }
  #known = 0;

  /** When the next socket is closed. */
  nextClosed(): Promise<number> {
    return new Promise((resolve) => {
      this.#closed = resolve;
    });
  }

  /** A request was read. */
  nextBegun(): Promise<void> {
    return new Promise((resolve) => {
      this.#began = resolve;
    });
  }

  async close(): Promise<void> {
    // A closed one is still asked for its address.
    void this.#port;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    let body = '';
    request.on('data', (piece) => (body += String(piece)));
    request.on('end', () => {
      this.#began?.();
      this.#play((JSON.parse(body) as { model: string }).model, response);
    });
  }

  #play(model: string, response: ServerResponse): void {
    if (model === 'stall-head') return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    if (model === 'stall-first') return;
    const tokens = model === 'quick' ? 2 : model === 'slow' ? 100_000 : TOKENS;
    const gapMs = model === 'quick' ? 0 : GAP_MS;
    let left = tokens;
    const say = () => {
      if (response.destroyed) return;
      if (left-- > 0) {
        response.write(event({ content: `${performance.now()} ` }, null));
        if (gapMs === 0) say();
        else setTimeout(say, gapMs);
      } else response.end(`${event({}, 'stop')}data: [DONE]\n\n`);
    };
    say();
  }
}

const event = (delta: object, finish: string | null) =>
  `data: ${JSON.stringify({ id: 'b', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
