/**
 * The deadlines of all streams of a worker: one wheel, and one timer for the next moment at which the wheel has something to look
 * at. Deadlines that move with every token cost a store each and wake nobody.
 */
import type { Clock, Ticker } from '../policy/ports.ts';
import { TimingWheel } from '../policy/wheel.ts';

const PERIOD_MS = 5;
/** A turn of the wheel takes 41 s: with the default gap of 30 s a stream is looked at about twice a minute. */
const BUCKETS = 8192;
const ALARMS_MAX = 2 ** 22;

/** What an alarm's key is good for. */
interface Desk {
  arm(key: number, dueMs: number): void;
  disarm(key: number): void;
  release(key: number): void;
}

const FREED = -1;

/** One deadline that may move. A stream has several: no closures here. */
export class Alarm {
  readonly #desk: Desk;
  #key: number;

  constructor(desk: Desk, key: number) {
    this.#desk = desk;
    this.#key = key;
  }

  set(dueMs: number): void {
    if (this.#key !== FREED) this.#desk.arm(this.#key, dueMs);
  }

  off(): void {
    if (this.#key !== FREED) this.#desk.disarm(this.#key);
  }

  /** Off for good: its key is somebody else's from here on. */
  free(): void {
    if (this.#key === FREED) return;
    this.#desk.release(this.#key);
    this.#key = FREED;
  }
}

export class Alarms {
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #wheel: TimingWheel;
  readonly #rings: ((() => void) | undefined)[] = [];
  readonly #spare: number[] = [];
  readonly #desk: Desk = {
    arm: (key, dueMs) => {
      this.#wheel.arm(key, dueMs);
      this.#plan(dueMs);
    },
    disarm: (key) => this.#wheel.disarm(key),
    release: (key) => {
      this.#wheel.disarm(key);
      this.#rings[key] = undefined;
      this.#spare.push(key);
    },
  };
  /** When the timer will ring, and its cancel. */
  #plannedMs = Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, ticker: Ticker) {
    this.#clock = clock;
    this.#ticker = ticker;
    this.#wheel = new TimingWheel({
      periodMs: PERIOD_MS,
      keysMax: ALARMS_MAX,
      startMs: clock.now(),
      buckets: BUCKETS,
      fire: (key) => this.#rings[key]?.(),
    });
  }

  get armed(): number {
    return this.#wheel.armed;
  }

  create(ring: () => void): Alarm {
    const key = this.#spare.pop() ?? this.#rings.length;
    this.#rings[key] = ring;
    return new Alarm(this.#desk, key);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#plannedMs = Infinity;
  }

  /** The wheel must be looked at by then; an earlier plan serves too. */
  #plan(dueMs: number): void {
    const atMs = Math.ceil(dueMs / PERIOD_MS) * PERIOD_MS;
    if (atMs >= this.#plannedMs) return;
    this.#cancel?.();
    this.#plannedMs = atMs;
    const waitMs = Math.max(0, atMs - this.#clock.now());
    this.#cancel = this.#ticker.after(waitMs, () => this.#tick());
  }

  #tick(): void {
    this.close();
    this.#wheel.tick(this.#clock.now());
    const nextMs = this.#wheel.nextMs;
    if (nextMs !== undefined && this.#wheel.armed > 0) this.#plan(nextMs);
  }
}
