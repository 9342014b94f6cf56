/** Finished responses in this process's memory: bounded, the oldest go first. */
import type { StoredResponse, StreamStore } from './store.ts';

export class MemoryStore implements StreamStore {
  readonly #bytesMax: number;
  readonly #entries = new Map<string, StoredResponse>();
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Replaces an entry of the same id and is then the newest. One that is larger than the whole store is not kept. */
  put(entry: StoredResponse): void {
    this.evict(entry.responseId);
    if (entry.bytes > this.#bytesMax) return;
    this.#entries.set(entry.responseId, entry);
    this.#heldBytes += entry.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#heldBytes <= this.#bytesMax) break;
      this.evict(oldest);
    }
  }

  /** Another holder's response is as unknown as one that never was. */
  get(responseId: string, holder: string): StoredResponse | undefined {
    const entry = this.#entries.get(responseId);
    return entry?.holder === holder ? entry : undefined;
  }

  evict(responseId: string): void {
    const entry = this.#entries.get(responseId);
    if (entry === undefined) return;
    this.#entries.delete(responseId);
    this.#heldBytes -= entry.bytes;
  }
}
