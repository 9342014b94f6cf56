/** The time, read once a turn of the event loop: reading it costs more than a limit does. A turn that lasts long reads it again every few calls. */
import { sharedNow } from '../threads/shared-now.ts';

const CALLS_MAX = 32;

export class TurnClock {
  #nowMs = 0;
  #calls = 0;

  now(): number {
    return this.#calls-- > 0 ? this.#nowMs : this.#read();
  }

  #read(): number {
    // Next turn reads anew. Nobody stays alive for it.
    if (!this.#waits) {
      this.#waits = true;
      setImmediate(this.#turned).unref();
    }
    this.#calls = CALLS_MAX;
    this.#nowMs = sharedNow();
    return this.#nowMs;
  }

  #waits = false;
  readonly #turned = () => {
    this.#waits = false;
    this.#calls = 0;
  };
}
