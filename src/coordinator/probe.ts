/** One health probe: a GET that is answered with 2xx, or, without a path, a TCP connection. */
import http from 'node:http';
import https from 'node:https';
import type { Ticker } from '../policy/ports.ts';

export interface ProbeTarget {
  /** http://host:port or https://host:port */
  readonly origin: string;
  /** Absent: a TCP connection is enough. */
  readonly path?: string | undefined;
  readonly timeoutMs: number;
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

/** Every probe uses a socket of its own, so that it finds out whether the upstream takes new ones. */
export function probe(target: ProbeTarget, ticker: Ticker): Probe {
  const url = new URL(target.path ?? '/', target.origin);
  const { request: open } = url.protocol === 'https:' ? https : http;
  const request = open(url, { agent: false, method: 'GET', headers: { connection: 'close' } });
  let settle: (result: ProbeResult) => void = () => {};
  const result = new Promise<ProbeResult>((resolve) => {
    settle = resolve;
  });
  let over = false;
  const finish = (good: boolean, reason: string): void => {
    if (over) return;
    end();
    settle({ good, reason });
  };
  const stop = ticker.after(target.timeoutMs, () =>
    finish(false, `no answer within ${target.timeoutMs} ms`),
  );
  function end(): void {
    over = true;
    stop();
    request.destroy();
  }
  request.on('error', (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.name));
  request.on('response', ({ statusCode = 0 }) =>
    finish(statusCode >= 200 && statusCode < 300, `status ${statusCode}`),
  );
  if (target.path === undefined) {
    // Nothing is sent before `end()`: the connection alone is looked at.
    request.on('socket', (socket) => socket.once('connect', () => finish(true, 'connected')));
  } else {
    request.end();
  }
  return {
    result,
    cancel: () => {
      if (!over) end();
    },
  };
}
