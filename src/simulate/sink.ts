/** Where an answer's bytes go: a response of node:http, or its bare socket when the response itself shall arrive in pieces. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { resetSocket } from './reset-socket.ts';
import type { Cancel, Wheel } from './wheel.ts';

type Socket = NonNullable<ServerResponse['socket']>;

export type Headers = Readonly<Record<string, string>>;

export interface Sink {
  head(status: number, headers: Headers): void;
  /** False: enough for now, `drained` will be called. */
  write(bytes: string | Uint8Array): boolean;
  /** The body ends in good order. */
  end(): void;
  /** The same, too early; absent: nobody can tell. */
  short?(): void;
  /** FIN, wherever the body is. */
  cut(): void;
  /** RST: what was written is on its way first. */
  reset(): void;
  onDrained(drained: () => void): void;
  /** The connection is gone, for whatever reason. Called once. */
  onGone(gone: () => void): void;
}

/**
 * Time between the last write and RST. A reader whose poll sees data and reset together may take the reset for the stream's
 * end (libuv does), and node:http holds writes back until the next tick anyway.
 */
const RESET_DELAY_MS = 10;

export function responseSink(response: ServerResponse, wheel: Wheel): Sink {
  return {
    head(status, headers) {
      response.writeHead(status, headers);
      response.flushHeaders();
    },
    write: (bytes) => response.write(bytes),
    end: () => void response.end(),
    cut: () => void response.socket?.end(),
    reset: () => resetLater(response.socket, wheel),
    onDrained: (drained) => void response.on('drain', drained),
    onGone: (gone) => void response.once('close', gone),
  };
}

function resetLater(socket: Socket | null, wheel: Wheel): void {
  wheel.at(wheel.now() + RESET_DELAY_MS, { run: () => socket && resetSocket(socket) });
}

const QUEUED_BYTES_MAX = 64 * 1024;

/** Writes HTTP/1.1 by hand, one piece a tick, sizes in turn: cuts fall into heads, chunk sizes and code points alike. */
export function pieceSink(socket: Socket, sizes: readonly number[], wheel: Wheel): Sink {
  let queued = Buffer.alloc(0);
  let turn = 0;
  let last: (() => void) | undefined;
  let drained = () => {};
  let cancel: Cancel | undefined;
  let full = false;

  function schedule(): void {
    cancel ??= wheel.at(wheel.now(), { run: piece });
  }

  function piece(): void {
    cancel = undefined;
    const size = sizes[turn++ % sizes.length];
    if (queued.length > 0) socket.write(Buffer.from(queued.subarray(0, size)));
    queued = queued.subarray(size);
    if (queued.length > 0) return schedule();
    if (last) return last();
    if (full) {
      full = false;
      drained();
    }
  }

  function queue(bytes: Uint8Array): boolean {
    queued = Buffer.concat([queued, bytes]);
    schedule();
    full = queued.length > QUEUED_BYTES_MAX;
    return !full;
  }

  function finish(how: () => void): void {
    last = how;
    schedule();
  }

  return {
    head(status, headers) {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const fixed = 'connection: close\r\ntransfer-encoding: chunked\r\n';
      queue(
        Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}${fixed}\r\n`),
      );
    },
    write(bytes) {
      const body = Buffer.from(bytes as string);
      if (body.length === 0) return true;
      return queue(
        Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]),
      );
    },
    end() {
      queue(Buffer.from('0\r\n\r\n'));
      finish(() => void socket.end());
    },
    cut: () => finish(() => void socket.end()),
    reset: () => finish(() => resetLater(socket, wheel)),
    onDrained(handler) {
      drained = handler;
    },
    onGone(gone) {
      socket.once('close', () => {
        cancel?.();
        gone();
      });
    },
  };
}
