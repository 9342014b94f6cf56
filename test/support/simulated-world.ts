/** Time, chance and timers of a world that stands still until a test lets it pass: one thread, one seed, no waiting. */
import type { Clock, Random, Ticker } from '../../src/policy/ports.ts';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

const WALL_START_MS = 1_790_000_000_000;

export class SimulatedWorld {
  readonly clock: Clock = { now: () => this.#nowMs, wall: () => WALL_START_MS + this.#nowMs };
  readonly random: Random;
  readonly ticker: Ticker = {
    every: (periodMs, tick) => {
      let cancel = () => {};
      const again = () => {
        cancel = this.#at(this.#nowMs + periodMs, () => {
          again();
          tick();
        });
      };
      again();
      return () => cancel();
    },
    soon: (task) => void this.#soon.push(task),
    after: (ms, task) => this.#at(this.#nowMs + ms, task),
  };
  #nowMs = 1000;
  #order = 0;
  #events: Event[] = [];
  #soon: (() => void)[] = [];

  constructor(chance: () => number = () => 0.5) {
    this.random = { next: chance, fill: (bytes) => void bytes.fill(7) };
  }

  /** Timers that run now: a test that ends should leave none. */
  get timers(): number {
    return this.#events.length;
  }

  /** Runs what is to run now. */
  async settle(): Promise<void> {
    // Promises first: a job that is done has something to say.
    for (let n = 0; n < 10; n += 1) await Promise.resolve();
    for (let guard = 0; this.#soon.length > 0; guard += 1) {
      if (guard > 10_000) throw new Error('the loop never becomes free');
      for (const task of this.#soon.splice(0)) task();
      await Promise.resolve();
    }
  }

  /** Lets time pass, event by event. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#first(); next && next.atMs <= endMs; next = this.#first()) {
      this.#events.splice(this.#events.indexOf(next), 1);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.task();
      await this.settle();
    }
    this.#nowMs = endMs;
  }

  #first(): Event | undefined {
    let first: Event | undefined;
    for (const event of this.#events) {
      const earlier =
        !first ||
        event.atMs < first.atMs ||
        (event.atMs === first.atMs && event.order < first.order);
      if (earlier) first = event;
    }
    return first;
  }

  #at(atMs: number, task: () => void): () => void {
    const event = { atMs, order: this.#order++, task };
    this.#events.push(event);
    return () => {
      const at = this.#events.indexOf(event);
      if (at >= 0) this.#events.splice(at, 1);
    };
  }
}
