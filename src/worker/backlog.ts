/** Upstream bytes that came although the tap was not clear: kept undecoded, in order, on the ledger. */
import type { Ledger } from '../memory/contract.ts';

export class Backlog {
  readonly #ledger: Ledger;
  #pieces: Uint8Array[] = [];
  #booked = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Keeps a copy; false when there is no memory for it. */
  hold(bytes: Uint8Array): boolean {
    if (!this.#ledger.take('outbox', bytes.byteLength)) return false;
    this.#booked += bytes.byteLength;
    // Not `slice()`: of a Buffer that is a view.
    this.#pieces.push(new Uint8Array(bytes));
    return true;
  }

  next(): Uint8Array | undefined {
    const bytes = this.#pieces.shift();
    if (bytes) this.#unbook(bytes.byteLength);
    return bytes;
  }

  clear(): void {
    this.#pieces = [];
    this.#unbook(this.#booked);
  }

  #unbook(bytes: number): void {
    this.#booked -= bytes;
    this.#ledger.give('outbox', bytes);
  }
}
