/** The simulated upstream's TCP side: listens on loopback, can vanish and come back on the same port, and knows its open sockets. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { MillraceError } from '../errors.ts';
import { must } from '../must.ts';
import { resetSocket } from './reset-socket.ts';

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
type Socket = IncomingMessage['socket'];

const HOST = '127.0.0.1';
const BACKLOG = 4096;
const KEEP_ALIVE_MS = 60_000;

export interface Listener {
  readonly port: number;
  readonly host: string;
  /** Open connections. */
  readonly connections: number;
  /** New connections are refused (and idle ones closed) until it is called with false. */
  refuse(on: boolean): Promise<void>;
  /** RST to every open connection. Answers how many. */
  resetAll(): number;
  close(): Promise<void>;
}

export async function listenOn(port: number, handle: Handle, upgrade: Upgrade): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, handle);
  // A request may take as long as a test wants; a client that never finishes its head may not.
  server.requestTimeout = 0;
  server.on('upgrade', upgrade);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A reset by the client ends in 'close' too.
    socket.on('error', () => {});
  });
  const bound = await bind(server, port);
  return {
    port: bound,
    host: HOST,
    get connections() {
      return sockets.size;
    },
    async refuse(on) {
      if (on && server.listening) server.close();
      if (!on && !server.listening) await bind(server, bound);
    },
    resetAll() {
      const open = sockets.size;
      for (const socket of sockets) resetSocket(socket);
      return open;
    },
    async close() {
      if (server.listening) server.close();
      const gone = [...sockets].map((socket) => new Promise((done) => socket.once('close', done)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(gone);
    },
  };
}

function bind(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(listenError(error, port));
    server.once('error', failed);
    server.listen({ host: HOST, port, backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', failed);
      const address = server.address();
      must(address && typeof address === 'object', 'a TCP server has an address');
      resolve(address.port);
    });
  });
}

function listenError(error: NodeJS.ErrnoException, port: number): MillraceError {
  if (error.code === 'EADDRINUSE')
    return new MillraceError('MILLRACE_PORT_TAKEN', { host: HOST, port }, { cause: error });
  const details = { host: HOST, port, reason: error.code ?? error.message };
  return new MillraceError('MILLRACE_LISTEN_FAILED', details, { cause: error });
}
