/**
 * The ports of the world: time, chance, timers. Everything pure takes them as arguments, so that the whole
 * engine runs in one thread under a simulated clock.
 */

export interface Clock {
  /** Monotonic milliseconds with fractions; the zero is arbitrary. Read once per turn. */
  now(): number;
  /** Milliseconds since 1970, for what clients see. */
  wall(): number;
}

export interface Random {
  /** Uniform in [0, 1). Not for secrets. */
  next(): number;
  /** Fills with unguessable bytes (ids). */
  fill(bytes: Uint8Array): void;
}

/**
 * Deadlines without a timer each: one tick and due times in a typed array. `fire` gets the key that was armed.
 * A key has one deadline; arming again moves it.
 */
export interface Wheel {
  arm(key: number, dueMs: number): void;
  disarm(key: number): void;
  /** Deadlines armed now. */
  readonly armed: number;
}

/** What drives a wheel or a loop: a real timer in the threads, the event heap in the simulation. */
export interface Ticker {
  /** Calls `tick` about every `periodMs` until the returned stop is called. */
  every(periodMs: number, tick: () => void): () => void;
  /** Calls once, as soon as the loop is free. */
  soon(task: () => void): void;
  /** Calls once after `ms`. Returns its cancel. */
  after(ms: number, task: () => void): () => void;
}
