/** One WebSocket of the simulated upstream, with the ways in which it may break. */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { resetSocket } from '../reset-socket.ts';

type Socket = IncomingMessage['socket'];

export interface LineEvents {
  message(bytes: Buffer, binary: boolean): void;
}

export class Line {
  readonly #socket: WebSocket;
  readonly #tcp: Socket;
  readonly #gone = new Set<() => void>();
  #drained: () => void = () => {};

  constructor(socket: WebSocket, tcp: Socket, events: LineEvents) {
    this.#socket = socket;
    this.#tcp = tcp;
    socket.on('message', (bytes, binary) => events.message(bytes as Buffer, binary));
    // What a client does wrong closes the socket by itself.
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const gone of this.#gone) gone();
    });
    tcp.on('drain', () => this.#drained());
  }

  /** Bytes that the client has not taken. */
  get unread(): number {
    return this.#socket.bufferedAmount;
  }

  /** `sizes`: in fragments of so many bytes, in turn. */
  say(bytes: Uint8Array, binary: boolean, sizes: readonly number[] = []): void {
    let from = 0;
    for (let turn = 0; sizes.length > 0; turn++) {
      const end = from + sizes[turn % sizes.length];
      if (end >= bytes.length) break;
      this.#socket.send(bytes.subarray(from, end), { binary, fin: false });
      from = end;
    }
    this.#socket.send(bytes.subarray(from), { binary });
  }

  close(code: number): void {
    this.#socket.close(code, 'simulated');
  }

  /** FIN without a close frame. */
  cut(): void {
    this.#tcp.end();
  }

  /** RST without a close frame. */
  reset(): void {
    resetSocket(this.#tcp);
  }

  onDrained(drained: () => void): void {
    this.#drained = drained;
  }

  /** Called once, unless it is taken back by what this returns. */
  onGone(gone: () => void): () => void {
    this.#gone.add(gone);
    return () => this.#gone.delete(gone);
  }
}
