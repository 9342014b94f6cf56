/** Digests of a growing list of items: of the whole, and of its beginnings. A conversation is known again by it without being kept. */
import { createHash } from 'node:crypto';

export class ItemsHash {
  readonly #hash = createHash('sha256');
  count = 0;

  add(item: unknown): void {
    this.#hash.update(`${JSON.stringify(item)}\n`);
    this.count++;
  }

  /** Of all that was added so far. */
  digest(): string {
    return this.#hash.copy().digest('base64');
  }
}
