/** An answer in pieces over node:http, which does the chunks, HTTP/1.0 and the order of pipelined answers. */
import type { ServerResponse } from 'node:http';
import type { Outlet } from './answer-connection.ts';

/** It keeps references to what it could not write: pieces are copied first. */
export class WsOutlet implements Outlet {
  readonly pieceBytes = 64 * 1024;
  readonly #response: ServerResponse;
  readonly #drained: () => void;
  /** Pieces given away whose callback has not come, and their bytes. */
  #writes = 0;
  #waiting = 0;
  #told = true;
  /** Ended or cut by us. */
  over = false;

  constructor(response: ServerResponse, drained: () => void) {
    this.#response = response;
    this.#drained = drained;
  }

  begin(status: number, headers: Readonly<Record<string, string>>, piece: Uint8Array): boolean {
    this.#response.writeHead(status, headers);
    return this.write(piece);
  }

  write(piece: Uint8Array): boolean {
    const bytes = Buffer.from(piece);
    this.#writes++;
    this.#waiting += bytes.length;
    const free = this.#response.write(bytes, () => this.#written(bytes.length));
    if (!free) this.#told = false;
    return free;
  }

  waiting(): number {
    return this.#told ? 0 : this.#waiting;
  }

  end(): void {
    this.over = true;
    this.#response.end();
  }

  cut(): void {
    this.over = true;
    this.#response.destroy();
  }

  #written(bytes: number): void {
    this.#writes--;
    this.#waiting -= bytes;
    if (this.over || this.#told || this.#writes > 0) return;
    this.#told = true;
    this.#drained();
  }
}
