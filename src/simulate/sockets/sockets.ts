/**
 * The WebSockets of the simulated upstream: `/v1/responses` speaks the Responses API's own mode, `/ws` is a plain back end that says back what it hears. The library is loaded
 * with the first upgrade.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { type Faults, parseFaults } from '../faults.ts';
import type { JournalRow } from '../journal.ts';
import { resetSocket } from '../reset-socket.ts';
import type { Headers } from '../sink.ts';
import { EchoSession } from './echo-session.ts';
import { Line } from './line.ts';
import { type AnswerOver, ResponseSession } from './response-session.ts';

export const RESPONSES_PATH = '/v1/responses';
export const ECHO_PATH = '/ws';
const FRAME_BYTES_MAX = 16 * 1024 * 1024;

type Socket = IncomingMessage['socket'];

export interface SocketsParts {
  readonly answer: AnswerOver;
  /** The faults of a session that is no answer: `asked` of its own. */
  faultsOf(asked: Faults | undefined): Faults;
  /** A session's row in the journal. */
  open(headers: Headers): JournalRow;
  now(): number;
}

export class Sockets {
  readonly #parts: SocketsParts;
  #server: Promise<WebSocketServer> | undefined;

  constructor(parts: SocketsParts) {
    this.#parts = parts;
  }

  /** Of node:http; the socket is nobody's yet. */
  upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    const socket = duplex as Socket;
    const path = (request.url ?? '').split('?')[0];
    const headers = flat(request);
    if (path !== RESPONSES_PATH && path !== ECHO_PATH) return refuse(socket, 404);
    let faults: Faults;
    try {
      const said = headers['x-simulate'];
      faults = this.#parts.faultsOf(said === undefined ? undefined : parseFaults(said));
    } catch {
      return refuse(socket, 400);
    }
    if (this.#breaks(socket, faults)) return;
    const opened = path === ECHO_PATH ? this.#echo(headers, faults) : this.#responses(headers);
    this.#accept(request, socket, head, opened);
  }

  /** True: it comes to no session. */
  #breaks(socket: Socket, faults: Faults): boolean {
    const status = faults['upgrade-status'];
    if (status !== undefined) refuse(socket, status);
    else if (faults['upgrade-reset']) resetSocket(socket);
    else return faults['upgrade-stall'] === true;
    return true;
  }

  #accept(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    opened: (line: Line) => { message(bytes: Buffer, binary: boolean): void },
  ): void {
    this.#server ??= load();
    void this.#server.then((server) =>
      server.handleUpgrade(request, socket, head, (each) => {
        const line: Line = new Line(each, socket, {
          message: (bytes, binary) => session.message(bytes, binary),
        });
        const session = opened(line);
      }),
    );
  }

  #responses(headers: Headers): (line: Line) => ResponseSession {
    return (line) => new ResponseSession(line, headers, this.#parts.answer);
  }

  #echo(headers: Headers, faults: Faults): (line: Line) => EchoSession {
    return (line) => {
      const row = this.#parts.open(headers);
      row.faults = faults;
      line.onGone(() => {
        row.endedMs = this.#parts.now();
        if (row.ending === 'running') row.ending = 'client-closed';
      });
      return new EchoSession(line, faults, row);
    };
  }
}

async function load(): Promise<WebSocketServer> {
  const { WebSocketServer: Server } = await import('ws');
  const maxPayload = FRAME_BYTES_MAX;
  return new Server({ noServer: true, maxPayload, perMessageDeflate: false });
}

function refuse(socket: Socket, status: number): void {
  const reason = STATUS_CODES[status] ?? 'Status';
  const body = JSON.stringify({
    error: { message: `[simulated] ${reason}`, type: 'server_error' },
  });
  const head = `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: application/json`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

export function flat(request: IncomingMessage): Headers {
  const entries = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries) as Headers;
}
