/**
 * The contract over the `ws` library and node:http: everywhere, where uWebSockets.js cannot load.
 *
 * `ws` reads frames, answers pings and keeps the close handshake. Frames go out past it: it queues references to the caller's bytes, which here
 * often lie in a ring that is written again at once (ws-connection.ts).
 */
import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { refusal } from '../accept.ts';
import type {
  Backend,
  BackendHandlers,
  Listening,
  ListenOptions,
  RequestHead,
  UpgradeVerdict,
} from './backend.ts';
import { CLOSE_WAIT_MS } from './patience.ts';
import { WsConnection } from './ws-connection.ts';
import { answerRaw, inspect, internal, WsRequests } from './ws-http.ts';
import { WsServer } from './ws-server.ts';

/** What a client may send before its handshake is answered. */
const EARLY_BYTES_MAX = 64 * 1024;

export function createWsBackend(): Backend {
  const { version } = createRequire(import.meta.url)('ws/package.json') as { version: string };
  return { name: 'ws', version, listen };
}

async function listen(options: ListenOptions, handlers: BackendHandlers): Promise<Listening> {
  const upgrades = new Upgrades(options, handlers);
  const server = new WsServer(options);
  const { http } = server;
  http.on('upgrade', (request, socket, head) => upgrades.take(request, socket, head));
  const requests = new WsRequests(options, handlers);
  http.on('request', (request, response) => requests.take(request, response));
  http.on('checkContinue', (request, response) => requests.take(request, response, true));
  const { address, port } = await server.listen(options);
  return {
    host: address,
    port,
    secure: options.tls !== undefined,
    ...(options.tls && { renew: async (tls) => server.renew(tls) }),
    unlisten: () => void server.unlisten(),
    close() {
      const done = server.unlisten();
      upgrades.terminate();
      server.terminate();
      return done;
    },
  };
}

/** No context is kept on either side: what one connection keeps otherwise is a quarter of a mebibyte. */
const deflateSettings = { serverNoContextTakeover: true, clientNoContextTakeover: true } as const;

/** Handshakes, and the sockets that came of them. */
export class Upgrades {
  readonly #handlers: BackendHandlers;
  readonly #deflateFrom: number;
  readonly #sockets: WebSocketServer;
  /** Upgraded or upgrading: node:http no longer knows them. */
  readonly #raw = new Set<Duplex>();
  readonly #chosen = new WeakMap<IncomingMessage, string>();
  readonly #headers = new WeakMap<IncomingMessage, Readonly<Record<string, string>>>();

  constructor(options: ListenOptions, handlers: BackendHandlers) {
    this.#handlers = handlers;
    this.#deflateFrom = options.deflate?.minBytes ?? Number.POSITIVE_INFINITY;
    const own = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: options.deflate ? deflateSettings : false,
      maxPayload: options.messageBytesMax,
      closeTimeout: CLOSE_WAIT_MS,
      maxPendingAutoPongs: 0, // ws-connection.ts bounds them, by what waits instead of by what came in one packet
      handleProtocols: (_offered: Set<string>, request: IncomingMessage) =>
        this.#chosen.get(request) ?? false,
    };
    this.#sockets = new WebSocketServer(own);
    this.#sockets.on('headers', (lines, request) => {
      const added = Object.entries(this.#headers.get(request) ?? {});
      lines.push(...added.map(([name, value]) => `${name}: ${value}`));
    });
  }

  take(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    this.#raw.add(socket);
    socket.once('close', () => this.#raw.delete(socket));
    socket.on('error', () => socket.destroy());
    try {
      const { head, kind } = inspect(request);
      if (kind === 'http') return this.#plain(socket, head);
      if (kind !== 'upgrade') return answerRaw(socket, refusal(kind));
      const verdict = this.#handlers.upgrade(head);
      if (verdict instanceof Promise) this.#wait(verdict, request, socket, early);
      else this.#settle(verdict, request, socket, early);
    } catch (error) {
      this.#failed(socket, error, 'upgrade');
    }
  }

  /** Reads on while the verdict is out: a client that leaves is seen. */
  #wait(
    verdict: Promise<UpgradeVerdict>,
    request: IncomingMessage,
    socket: Duplex,
    early: Buffer,
  ): void {
    const chunks = [early];
    let bytes = early.length;
    const keep = (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > EARLY_BYTES_MAX) socket.destroy();
    };
    const left = () => socket.destroy();
    socket.on('data', keep);
    socket.once('end', left);
    const settle = (settled: UpgradeVerdict) => {
      socket.off('data', keep);
      socket.off('end', left);
      this.#settle(settled, request, socket, Buffer.concat(chunks));
    };
    verdict.then(settle).catch((error: unknown) => this.#failed(socket, error, 'upgrade'));
  }

  #settle(verdict: UpgradeVerdict, request: IncomingMessage, socket: Duplex, early: Buffer): void {
    if (!verdict.accept) return answerRaw(socket, verdict.reply);
    if (verdict.protocol !== undefined) this.#chosen.set(request, verdict.protocol);
    if (verdict.headers) this.#headers.set(request, verdict.headers);
    request.headers.upgrade = 'websocket'; // `ws` takes it for the only word there; we have seen that it is one of them
    this.#sockets.handleUpgrade(request, socket, early, (client) =>
      WsConnection.start(client, socket, verdict.user, this.#handlers, this.#deflateFrom),
    );
  }

  /** `Upgrade:` something else: an ordinary request, answered as one (RFC 9110 section 7.8). Its connection ends here. */
  #plain(socket: Duplex, head: RequestHead): void {
    const reply = this.#handlers.http(head, new Uint8Array());
    if (!(reply instanceof Promise)) return answerRaw(socket, reply);
    reply
      .then((settled) => answerRaw(socket, settled))
      .catch((error: unknown) => this.#failed(socket, error, 'http'));
  }

  #failed(socket: Duplex, error: unknown, where: string): void {
    this.#handlers.fault(error, where);
    answerRaw(socket, internal);
  }

  terminate(): void {
    for (const socket of this.#raw) socket.destroy();
  }
}
