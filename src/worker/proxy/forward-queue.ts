/**
 * What one client says to its back end: in order, kept for another back end until the first one has spoken.
 *
 *   push ─▶ waiting ─▶ (the socket takes it) ─▶ said ─▶ forgotten when the back end speaks
 *              ▲                                  │
 *              └──── rewind: the back end was lost before it spoke
 *
 * Whatever waits is held back from main's account: main stops reading the client when too much is not settled.
 */
import type { Ledger } from '../../memory/contract.ts';
import type { UpstreamSocket } from '../../protocol/socket-transport.ts';

/** What a message costs besides its bytes: empty ones are bounded too. */
const MESSAGE_BYTES = 64;

export interface ForwardBounds {
  readonly replayBytesMax: number;
  /** The socket gets nothing more while it holds this much. */
  readonly bufferBytesMax: number;
}

interface Said {
  readonly bytes: Uint8Array;
  readonly binary: boolean;
  /** main's number of the message; 0: settled. */
  stream: number;
}

export class ForwardQueue {
  readonly #bounds: ForwardBounds;
  readonly #ledger: Ledger;
  readonly #settle: (stream: number) => void;
  #waiting: Said[] = [];
  /** Undefined: nothing can be said again. */
  #said: Said[] | undefined = [];
  #saidBytes = 0;

  /** `settle`: main need not keep this message any more. */
  constructor(bounds: ForwardBounds, ledger: Ledger, settle: (stream: number) => void) {
    this.#bounds = bounds;
    this.#ledger = ledger;
    this.#settle = settle;
  }

  /** Messages that no socket has taken. */
  get waiting(): number {
    return this.#waiting.length;
  }

  push(bytes: Uint8Array, binary: boolean, stream: number): void {
    this.#waiting.push({ bytes, binary, stream });
  }

  /** Gives the socket what it can take. */
  flush(socket: UpstreamSocket): void {
    let taken = 0;
    for (const message of this.#waiting) {
      if (socket.buffered > this.#bounds.bufferBytesMax) break;
      taken++;
      socket.send(message.bytes, message.binary);
      this.#keep(message);
      if (message.stream !== 0) this.#settle(message.stream);
      message.stream = 0;
    }
    if (taken > 0) this.#waiting.splice(0, taken);
  }

  /** The back end has spoken: nothing is said twice from here on. */
  forget(): void {
    if (this.#said === undefined) return;
    this.#said = undefined;
    this.#ledger.give('replay', this.#saidBytes);
    this.#saidBytes = 0;
  }

  /** All of it is to be said again, to another back end. False: it cannot. */
  rewind(): boolean {
    if (this.#said === undefined) return false;
    this.#waiting = [...this.#said, ...this.#waiting];
    this.#said = [];
    this.#ledger.give('replay', this.#saidBytes);
    this.#saidBytes = 0;
    return true;
  }

  /** Nobody sends any more. */
  close(): void {
    this.forget();
    for (const { stream } of this.#waiting) if (stream !== 0) this.#settle(stream);
    this.#waiting = [];
  }

  #keep(message: Said): void {
    if (this.#said === undefined) return;
    const cost = message.bytes.byteLength + MESSAGE_BYTES;
    const fits = this.#saidBytes + cost <= this.#bounds.replayBytesMax;
    if (!fits || !this.#ledger.take('replay', cost)) return this.forget();
    this.#said.push(message);
    this.#saidBytes += cost;
  }
}
