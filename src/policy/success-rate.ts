/**
 * Whether the answers of one offer fail too often, though never so many in a row that its circuit opens by itself: successes and failures of the last window, read from
 * the free-running counts in the circuit's cell.
 *
 *     marks:  m0 ─── m1 ─── m2 ─── … ─── now      a tenth of the window apart; the oldest that still covers the window is what now is compared with
 *
 * What an older life of the circuit counted is forgotten when it opens or closes.
 */
import { Circuit, type CircuitCell, CircuitWord, circuitState } from './circuit.ts';

export interface RateRules {
  /** Below this share of good answers the circuit opens; 0: never. */
  readonly successShareMin: number;
  /** As many answers must have come in the window. */
  readonly volumeMin: number;
  readonly windowMs: number;
}

interface Mark {
  readonly atMs: number;
  readonly succeeded: number;
  readonly failed: number;
}

const MARKS = 10;

export class SuccessRate {
  #marks: Mark[] = [];
  /** The circuit's state word, with its version: another one is another life. */
  #life = 0;
  /** After `look`: failures came since the last mark. */
  changed = false;

  /** The share of good answers, when it is too low and the circuit still closed; otherwise undefined. Times are monotonic milliseconds. */
  look(cell: CircuitCell, rules: RateRules, nowMs: number): number | undefined {
    const life = cell.load(CircuitWord.state);
    const succeeded = cell.load(CircuitWord.succeeded);
    const failed = cell.load(CircuitWord.failed);
    const now = { atMs: nowMs, succeeded, failed };
    const last = this.#marks.at(-1);
    this.changed = false;
    if (!last || life !== this.#life || circuitState(cell) !== Circuit.closed) {
      this.#marks = [now];
      this.#life = life;
      return undefined;
    }
    this.changed = failed !== last.failed;
    while (this.#marks.length > 1 && this.#marks[1].atMs <= nowMs - rules.windowMs)
      this.#marks.shift();
    const verdict = this.#judge(now, rules);
    if (nowMs - last.atMs >= rules.windowMs / MARKS) this.#marks.push(now);
    return verdict;
  }

  #judge({ succeeded, failed }: Mark, rules: RateRules): number | undefined {
    const [from] = this.#marks;
    // Counts wrap.
    const good = (succeeded - from.succeeded) | 0;
    const bad = (failed - from.failed) | 0;
    // Somebody cleared the cell.
    if (good < 0 || bad < 0) {
      this.#marks = [];
      return undefined;
    }
    if (bad === 0 || good + bad < rules.volumeMin) return undefined;
    const share = good / (good + bad);
    return share < rules.successShareMin ? share : undefined;
  }
}
