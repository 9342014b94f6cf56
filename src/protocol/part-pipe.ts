/** The parts of one answer between an engine that puts them and a handler that pulls them: in order, counted in bytes, with one end. */
import type { StreamPart } from './route.ts';

/** Counted for every part beside its text. */
const PART_BYTES = 32;

interface Taker {
  give(result: IteratorResult<StreamPart>): void;
  fail(error: unknown): void;
}

const OVER = { done: true, value: undefined } as const;

export class PartPipe {
  readonly #parts: { readonly part: StreamPart; readonly bytes: number }[] = [];
  readonly #takers: Taker[] = [];
  readonly #pulled: () => void;
  #bytes = 0;
  #over = false;
  #error: unknown;

  /** `pulled`: some of what waited no longer does. */
  constructor(pulled: () => void) {
    this.#pulled = pulled;
  }

  /** What waits. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Nothing comes any more; what waits may still be pulled. */
  get over(): boolean {
    return this.#over;
  }

  put(part: StreamPart, length: number): void {
    if (this.#over) return;
    const taker = this.#takers.shift();
    if (taker) return taker.give({ done: false, value: part });
    const bytes = length + PART_BYTES;
    this.#bytes += bytes;
    this.#parts.push({ part, bytes });
  }

  /** The end: without an error, the answer is complete. */
  close(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    for (const taker of this.#takers.splice(0)) {
      if (this.#error === undefined) taker.give(OVER);
      else {
        this.#error = undefined;
        taker.fail(error);
      }
    }
  }

  /** The end, as the reader wants it: nothing that waits is pulled any more. */
  stop(error?: unknown): void {
    this.#parts.length = 0;
    this.#bytes = 0;
    this.close(error);
  }

  /** The next part; at the end `done`, or once the failure. */
  next(): Promise<IteratorResult<StreamPart>> {
    const head = this.#parts.shift();
    if (head !== undefined) {
      this.#bytes -= head.bytes;
      this.#pulled();
      return Promise.resolve({ done: false, value: head.part });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what an AbortSignal gives as its reason is passed on
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve(OVER);
    return new Promise((give, fail) => this.#takers.push({ give, fail }));
  }
}
