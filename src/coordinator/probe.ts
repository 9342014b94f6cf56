/** One health probe: a GET that is answered with 2xx, a TCP connection, a TLS handshake, or a ping over a WebSocket. None of them costs a token. */
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { Ticker } from '../policy/ports.ts';
import { acceptOf, CLOSE, keyOf, PING, PongReader } from './ping-frames.ts';

export type ProbeWay = 'http' | 'tcp' | 'tls' | 'ping';

export interface ProbeTarget {
  /** http://host:port or https://host:port */
  readonly origin: string;
  /** Absent: `http` where there is a path, else `tcp`. */
  readonly way?: ProbeWay;
  /** Of `http` and `ping`. */
  readonly path?: string | undefined;
  /** Of the handshake of `ping`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** The certificate authority to trust, PEM; absent: those that Node trusts. */
  readonly ca?: string;
}

export interface ProbeResult {
  readonly good: boolean;
  /** Why, in a few words without secrets. */
  readonly reason: string;
}

export interface Probe {
  /** Never rejects. Settles at the latest after the timeout; cancelled: never. */
  readonly result: Promise<ProbeResult>;
  cancel(): void;
}

type Finish = (good: boolean, reason: string) => void;

/** Every probe uses a socket of its own, so that it finds out whether the upstream takes new ones. */
export function probe(target: ProbeTarget, ticker: Ticker): Probe {
  const { origin, path, way = path === undefined ? 'tcp' : 'http', timeoutMs } = target;
  const url = new URL(path ?? '/', origin);
  const { request: open } = url.protocol === 'https:' ? https : http;
  const key = keyOf();
  const headers = way === 'ping' ? handshake(key, target.headers) : { connection: 'close' };
  const { ca } = target;
  const trust = ca === undefined ? {} : { ca };
  const request = open(url, { agent: false, method: 'GET', headers, ...trust });
  let settle: (result: ProbeResult) => void = () => {};
  const result = new Promise<ProbeResult>((resolve) => {
    settle = resolve;
  });
  let over = false;
  const finish: Finish = (good, reason) => {
    if (over) return;
    end();
    settle({ good, reason });
  };
  const stop = ticker.after(timeoutMs, () => finish(false, `no answer within ${timeoutMs} ms`));
  function end(): void {
    over = true;
    stop();
    request.destroy();
  }
  request.on('error', (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.name));
  request.on('response', ({ statusCode = 0 }) =>
    finish(way === 'http' && statusCode >= 200 && statusCode < 300, `status ${statusCode}`),
  );
  request.on('upgrade', ({ headers: said }, socket, head) => {
    if (over) return socket.destroy();
    if (said['sec-websocket-accept'] !== acceptOf(key)) return finish(false, 'a wrong handshake');
    ping(socket, head, finish);
  });
  if (way === 'http' || way === 'ping') request.end();
  else {
    // Nothing is sent before `end()`: the connection alone is looked at.
    request.on('socket', (socket) => {
      if (way === 'tcp') socket.once('connect', () => finish(true, 'connected'));
      // In order, or the server takes it for a handshake that failed.
      else socket.once('secureConnect', () => socket.end(() => finish(true, 'TLS')));
    });
  }
  return {
    result,
    cancel: () => {
      if (!over) end();
    },
  };
}

function handshake(key: string, headers: ProbeTarget['headers']) {
  return {
    ...headers,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
  };
}

/** The socket goes with the request. */
function ping(socket: Duplex, head: Uint8Array, finish: Finish): void {
  const reader = new PongReader();
  const read = (bytes: Uint8Array): void => {
    const said = reader.read(bytes);
    if (said === 'pong') socket.write(CLOSE, () => finish(true, 'pong'));
    else if (said === 'close') finish(false, 'closed instead of a pong');
  };
  socket.on('error', (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.name));
  socket.on('close', () => finish(false, 'closed instead of a pong'));
  socket.on('data', read);
  socket.write(PING);
  read(head);
}
