/** The text of an answer so far, for another upstream to go on with, and whether it can: kept only where some upstream would. */
import type { Ledger } from '../memory/contract.ts';
import { Delta, type DeltaKind } from '../protocol/events.ts';

/** Nobody is asked to read more than this again. */
const BYTES_MAX = 256 * 1024;

export class Transcript {
  readonly #ledger: Ledger;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isPlain = true;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Escaped as in a JSON string, as events.ts says. */
  delta(kind: DeltaKind, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#isPlain) return;
    const length = end - start;
    const fits = this.#bytes + length <= BYTES_MAX;
    if (kind !== Delta.text || !fits || !this.#ledger.take('outbox', length)) return this.spoil();
    this.#bytes += length;
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  /** It holds what no prefix of a message can say. */
  spoil(): void {
    this.#isPlain = false;
    this.clear();
  }

  clear(): void {
    this.#ledger.give('outbox', this.#bytes);
    this.#bytes = 0;
    this.#pieces = [];
  }

  /** Undefined: nobody can go on from here. */
  get text(): string | undefined {
    if (!this.#isPlain || this.#bytes === 0) return undefined;
    return JSON.parse(`"${Buffer.concat(this.#pieces).toString()}"`) as string;
  }
}
