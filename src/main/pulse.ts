/** How long a thread has been silent: its beats in shared memory, and when main saw them move last. */
import type { ThreadCells } from '../memory/contract.ts';

export class Pulse {
  readonly #cells: ThreadCells;
  readonly #row: number;
  #beats = 0;
  #movedMs = 0;

  constructor(cells: ThreadCells, row: number) {
    this.#cells = cells;
    this.#row = row;
  }

  /** A new incarnation, or a sign of life of another kind: silence counts from now. */
  restart(nowMs: number): void {
    this.#beats = this.#cells.beats(this.#row);
    this.#movedMs = nowMs;
  }

  /** Milliseconds since the last beat, as far as main has looked. */
  silentMs(nowMs: number): number {
    if (this.#cells.beats(this.#row) !== this.#beats) this.restart(nowMs);
    return nowMs - this.#movedMs;
  }
}
