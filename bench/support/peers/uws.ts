/** uWebSockets.js, from whichever of the two packages loads here: the build of its own, or the one for older glibc. */
import { createRequire } from 'node:module';
import { must } from '../../../src/must.ts';

export interface UwsSocket {
  send(message: ArrayBuffer | Uint8Array | string, binary?: boolean, compress?: boolean): number;
  cork(write: () => void): unknown;
  getUserData(): Record<string, unknown>;
}

interface UwsApp {
  ws(
    path: string,
    behavior: {
      maxPayloadLength?: number;
      idleTimeout?: number;
      maxBackpressure?: number;
      sendPingsAutomatically?: boolean;
      open?: (socket: UwsSocket) => void;
      message?: (socket: UwsSocket, message: ArrayBuffer, binary: boolean) => void;
      close?: (socket: UwsSocket) => void;
    },
  ): UwsApp;
  listen(host: string, port: number, done: (token: unknown) => void): UwsApp;
}

interface Uws {
  App: () => UwsApp;
  us_socket_local_port(token: unknown): number;
}

export function loadUws(): Uws {
  const load = createRequire(import.meta.url);
  for (const name of ['uWebSockets.js', 'uws-glibc227']) {
    try {
      const uws = load(name) as Uws;
      // One of the packages falls back to an implementation in JavaScript without a word: that is not the peer we name.
      if (Function.prototype.toString.call(uws.App).includes('[native code]')) return uws;
    } catch {
      // The next one; the last failure is reported below.
    }
  }
  throw new Error('no native build of uWebSockets.js loads here');
}

/** Listens on a free port of 127.0.0.1. */
export function listenUws(uws: Uws, app: UwsApp): Promise<number> {
  return new Promise((resolve) => {
    app.listen('127.0.0.1', 0, (token) => {
      must(token, 'uWebSockets.js listens');
      resolve(uws.us_socket_local_port(token));
    });
  });
}
