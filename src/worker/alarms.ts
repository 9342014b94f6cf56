/** The deadlines of all streams of a worker: one wheel, driven by one timer that runs only while something is armed. */
import type { Clock, Ticker } from '../policy/ports.ts';
import { TimingWheel } from '../policy/wheel.ts';

const PERIOD_MS = 5;
const ALARMS_MAX = 2 ** 22;

/** One deadline that may move. */
export interface Alarm {
  set(dueMs: number): void;
  off(): void;
  /** Off for good: the alarm is somebody else's from here on. */
  free(): void;
}

export class Alarms {
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #wheel: TimingWheel;
  readonly #rings: ((() => void) | undefined)[] = [];
  readonly #spare: number[] = [];
  #stop: (() => void) | undefined;

  constructor(clock: Clock, ticker: Ticker) {
    this.#clock = clock;
    this.#ticker = ticker;
    this.#wheel = new TimingWheel({
      periodMs: PERIOD_MS,
      keysMax: ALARMS_MAX,
      startMs: clock.now(),
      fire: (key) => this.#rings[key]?.(),
    });
  }

  get armed(): number {
    return this.#wheel.armed;
  }

  create(ring: () => void): Alarm {
    const key = this.#spare.pop() ?? this.#rings.length;
    this.#rings[key] = ring;
    let freed = false;
    return {
      set: (dueMs) => {
        if (freed) return;
        this.#wheel.arm(key, dueMs);
        this.#stop ??= this.#ticker.every(PERIOD_MS, () => this.#tick());
      },
      off: () => {
        if (!freed) this.#wheel.disarm(key);
      },
      free: () => {
        if (freed) return;
        freed = true;
        this.#wheel.disarm(key);
        this.#rings[key] = undefined;
        this.#spare.push(key);
      },
    };
  }

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #tick(): void {
    this.#wheel.tick(this.#clock.now());
    if (this.#wheel.armed === 0) this.close();
  }
}
