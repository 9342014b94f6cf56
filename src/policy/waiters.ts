/**
 * Who waits for room at an upstream, first come, first served for each model, within a bound. Pure: whoever holds it says when room may have
 * come, and each waiter finds out by trying.
 */

/** Tries to go on; false: there is no room for it yet. */
export type Try = () => boolean;

interface Waiter {
  readonly model: string;
  readonly go: Try;
}

export class Waiters {
  readonly #queue = new Set<Waiter>();
  readonly #waitingFor = new Map<string, number>();

  get count(): number {
    return this.#queue.size;
  }

  /** Somebody came for this model before: whoever comes now stands behind. */
  ahead(model: string): boolean {
    return this.#waitingFor.has(model);
  }

  /** Joins the queue. The answer takes it out again; it does nothing when its turn has come. */
  join(model: string, go: Try): () => void {
    const waiter = { model, go };
    this.#queue.add(waiter);
    this.#waitingFor.set(model, (this.#waitingFor.get(model) ?? 0) + 1);
    return () => this.#leave(waiter);
  }

  /** Room may have come: everybody in order, but nobody before one who waits for the same model and found none. */
  wake(): void {
    const full = new Set<string>();
    for (const waiter of [...this.#queue]) {
      if (full.has(waiter.model) || !this.#queue.has(waiter)) continue;
      // Out first: whoever it makes room for, or whatever it starts, must not meet it here.
      this.#leave(waiter);
      if (waiter.go()) continue;
      full.add(waiter.model);
      this.#rejoin(waiter);
    }
  }

  #leave(waiter: Waiter): void {
    if (!this.#queue.delete(waiter)) return;
    const left = (this.#waitingFor.get(waiter.model) ?? 1) - 1;
    if (left === 0) this.#waitingFor.delete(waiter.model);
    else this.#waitingFor.set(waiter.model, left);
  }

  /** To its old place: in front of all that have not been asked in this round. */
  #rejoin(waiter: Waiter): void {
    const behind = [...this.#queue];
    const asked = behind.filter((other) => other.model !== waiter.model);
    const same = behind.filter((other) => other.model === waiter.model);
    this.#queue.clear();
    for (const each of [...asked, waiter, ...same]) this.#queue.add(each);
    this.#waitingFor.set(waiter.model, (this.#waitingFor.get(waiter.model) ?? 0) + 1);
  }
}
