/**
 * Bounds log lines that others can cause at will: so many a second of each kind, and then one line that says how many were left
 * out. Time and the later line are arguments, so that a test needs no clock.
 */
import type { Clock, Ticker } from '../policy/ports.ts';

const WINDOW_MS = 1_000;

interface Window {
  /** When it began. */
  sinceMs: number;
  lines: number;
  left: number;
  cancel: () => void;
}

export class LineBound {
  readonly #linesMax: number;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #tell: (kind: string, lines: number) => void;
  /** By kind: a closed list of our own, so it stays small. */
  readonly #windows = new Map<string, Window>();

  /** `tell`: so many lines of this kind were left out in a second. */
  constructor(
    linesPerSecondMax: number,
    clock: Clock,
    ticker: Ticker,
    tell: (kind: string, lines: number) => void,
  ) {
    this.#linesMax = linesPerSecondMax;
    this.#clock = clock;
    this.#ticker = ticker;
    this.#tell = tell;
  }

  /** May this line be written? Otherwise it is counted. */
  admits(kind: string): boolean {
    const nowMs = this.#clock.now();
    const window = this.#windows.get(kind) ?? {
      sinceMs: nowMs,
      lines: 0,
      left: 0,
      cancel: () => {},
    };
    this.#windows.set(kind, window);
    if (window.left === 0 && nowMs - window.sinceMs >= WINDOW_MS) {
      window.sinceMs = nowMs;
      window.lines = 0;
    }
    if (window.lines < this.#linesMax) {
      window.lines += 1;
      return true;
    }
    window.left += 1;
    // Said also when the flood ends with this line.
    if (window.left === 1) {
      const waitMs = Math.max(0, window.sinceMs + WINDOW_MS - nowMs);
      window.cancel = this.#ticker.after(waitMs, () => this.#turn(kind, window));
    }
    return false;
  }

  /** Says what was left out so far; no timer stays behind. */
  stop(): void {
    for (const [kind, window] of this.#windows) {
      window.cancel();
      if (window.left > 0) this.#turn(kind, window);
    }
  }

  #turn(kind: string, window: Window): void {
    const { left } = window;
    window.sinceMs = this.#clock.now();
    window.lines = window.left = 0;
    this.#tell(kind, left);
  }
}
