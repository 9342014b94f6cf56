/** Which upstream made a response: whoever continues it is sent there first, because its cache may still hold what was said. Bounded; the oldest are forgotten. */
import type { Upstream } from './route.ts';

/** About 200 bytes each. */
const RESPONSES_MAX = 16_384;

/** A row, as long as it is this upstream's. */
export interface Home {
  readonly index: number;
  readonly since: number;
}

export class Affinity {
  readonly #homes = new Map<string, Home>();

  /** Undefined: nobody knows, or it continues nothing. */
  home(responseId: string | undefined): Home | undefined {
    return responseId === undefined ? undefined : this.#homes.get(responseId);
  }

  made(responseId: string, { index, since }: Upstream): void {
    this.#homes.set(responseId, { index, since });
    if (this.#homes.size <= RESPONSES_MAX) return;
    for (const oldest of this.#homes.keys()) {
      this.#homes.delete(oldest);
      return;
    }
  }
}
