/**
 * How often a busy worker looks at its sockets. Waking up, asking which sockets have something and ringing main cost about as much as
 * everything else that is done for a token. So a turn of the loop rings main at most once, at its end, and while reads come thick,
 * turns begin no more often than once per gap: in between the thread sleeps, the sockets fill, and one wake-up serves them all.
 *
 *     few    read ▲              read ▲                      (each is read, and rings, at once)
 *     many   reads ▲▲▲ zzzzzzzz  reads ▲▲▲▲▲ zzzzzz  …       (▲ bell · z sleep; a turn longer than the gap: no sleep)
 *
 * The same as interrupt moderation of network cards: no timer of Node is as fine as the gap, and none is needed.
 */
import type { Bell } from '../memory/contract.ts';
import type { Clock, Ticker } from '../policy/ports.ts';

const GAP_MS = 1;
/** Reads expected in a gap, from which on sleeping pays. */
const READS_MIN = 2;
/** Of the mean: a burst shorter than so many turns does not make a thread sleep. */
const TURNS = 8;
/** Silence counts as this much, so that it is forgotten within some turns. */
const INTERVAL_MS_MAX = 4 * GAP_MS;

export interface PaceParts {
  /** main's. */
  readonly bell: Bell;
  readonly clock: Pick<Clock, 'now'>;
  readonly ticker: Pick<Ticker, 'soon'>;
  /** Stops the thread for so many milliseconds. */
  pause(ms: number): void;
}

export class ReadPace implements Bell {
  readonly #parts: PaceParts;
  #asked = false;
  #rung = false;
  #reads = 0;
  #turnMs = Number.NEGATIVE_INFINITY;
  #lastTurnMs = Number.NEGATIVE_INFINITY;
  #meanIntervalMs = INTERVAL_MS_MAX;

  constructor(parts: PaceParts) {
    this.#parts = parts;
  }

  /** main has something to do: it hears so when this turn of the loop is over. */
  ring(): void {
    this.#rung = true;
    this.#ask();
  }

  /** A socket of an upstream is being read. */
  read(): void {
    if (this.#reads++ === 0) this.#turnMs = this.#parts.clock.now();
    this.#ask();
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#parts.ticker.soon(this.#over);
  }

  readonly #over = (): void => {
    this.#asked = false;
    if (this.#rung) {
      this.#rung = false;
      this.#parts.bell.ring();
    }
    if (this.#reads === 0) return;
    const interval = Math.min(INTERVAL_MS_MAX, (this.#turnMs - this.#lastTurnMs) / this.#reads);
    this.#meanIntervalMs += (interval - this.#meanIntervalMs) / TURNS;
    this.#reads = 0;
    this.#lastTurnMs = this.#turnMs;
    if (this.#meanIntervalMs * READS_MIN > GAP_MS) return;
    const restMs = this.#turnMs + GAP_MS - this.#parts.clock.now();
    if (restMs > 0) this.#parts.pause(restMs);
  };
}
