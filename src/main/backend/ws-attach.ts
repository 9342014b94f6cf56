/**
 * The ws backend on a server that the application runs: it takes the upgrades of our paths, and plain requests where the application hands them
 * over. The server stays the application's: it listens, and goes on when we leave.
 */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BackendHandlers, Listening, ListenOptions, RequestHead } from './backend.ts';
import { Upgrades } from './ws.ts';
import { inspect, WsRequests } from './ws-http.ts';

/** A server of node:http or node:https. */
export type AttachableServer = Server | TlsServer;

export interface AttachedListening extends Listening {
  /** Takes a plain request if its path is ours. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** What is ours. */
export interface Ours {
  socket(head: RequestHead): boolean;
  plain(head: RequestHead): boolean;
}

export function attachedBackend(server: AttachableServer, ours: Ours) {
  return {
    listen: (options: ListenOptions, handlers: BackendHandlers): Promise<AttachedListening> =>
      Promise.resolve(attach(server, ours, options, handlers)),
  };
}

function attach(
  server: AttachableServer,
  ours: Ours,
  options: ListenOptions,
  handlers: BackendHandlers,
): AttachedListening {
  const upgrades = new Upgrades(options, handlers);
  const requests = new WsRequests(options, handlers);
  const onUpgrade = (request: IncomingMessage, socket: Duplex, early: Buffer) => {
    const { head, kind } = inspect(request);
    const alone = server.listenerCount('upgrade') === 1;
    if (kind === 'http' ? !alone : !alone && !ours.socket(head)) return;
    // Without us node:http would have ignored the header: an ordinary request stays the application's.
    if (kind === 'http') handBack(server, request, socket);
    else upgrades.take(request, socket, early);
  };
  server.on('upgrade', onUpgrade);
  return {
    host: options.host,
    port: options.port,
    // Whoever comes is refused by `upgrade` from here on: the listener is not ours to close.
    unlisten() {},
    handle(request, response) {
      if (!ours.plain(inspect(request).head)) return false;
      requests.take(request, response);
      return true;
    },
    close() {
      server.off('upgrade', onUpgrade);
      upgrades.terminate();
      return Promise.resolve();
    },
  };
}

function handBack(server: AttachableServer, request: IncomingMessage, socket: Duplex): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.once('finish', () => socket.end());
  socket.on('error', () => socket.destroy());
  server.emit('request', request, response);
}
