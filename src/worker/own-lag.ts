/**
 * The lag of this worker's own loop. While it is late all the time new turns are refused here, and main reads it: when every worker is, nothing
 * new comes in. It looks only while turns come, so that an idle worker sleeps.
 */
import { OverloadJudge } from '../policy/overload.ts';
import type { Clock, Ticker } from '../policy/ports.ts';

const LOOK_MS = 100;
/** Looks on for so long after the last turn. */
const LINGER_MS = 5_000;

export interface OwnLagParts {
  readonly clock: Clock;
  readonly ticker: Ticker;
  /** Milliseconds; may change while it runs. */
  lagMsMax(): number;
  /** An index of `overloadBounds`: 0 = new turns are welcome. */
  tell(bound: number): void;
}

export class OwnLag {
  readonly #parts: OwnLagParts;
  readonly #judge = new OverloadJudge();
  #bound = 0;
  #turnMs = 0;
  #cancel: (() => void) | undefined = undefined;

  constructor(parts: OwnLagParts) {
    this.#parts = parts;
    // A predecessor may have died refusing.
    parts.tell(0);
  }

  /** A turn comes. An index of `overloadBounds`: 0 = it may. */
  turn(): number {
    this.#turnMs = this.#parts.clock.now();
    if (!this.#cancel) this.#later();
    return this.#bound;
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #later(): void {
    const { clock, ticker } = this.#parts;
    const dueMs = clock.now() + LOOK_MS;
    this.#cancel = ticker.after(LOOK_MS, () => {
      this.#look(dueMs);
      this.#cancel = undefined;
      if (this.#bound !== 0 || clock.now() - this.#turnMs < LINGER_MS) this.#later();
      else this.#judge.rested();
    });
  }

  #look(dueMs: number): void {
    const { clock } = this.#parts;
    this.#judge.late(clock.now() - dueMs);
    const bounds = { share: 1, lagMs: this.#parts.lagMsMax() };
    const bound = this.#judge.decide(0, bounds, clock.now());
    if (bound === this.#bound) return;
    this.#bound = bound;
    this.#parts.tell(bound);
  }
}
