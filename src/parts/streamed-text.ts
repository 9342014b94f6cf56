/** One text on its way out in pieces: filled from its source as far as its bound allows, emptied by whoever asks, in a rhythm. */
import { MillraceError } from '../errors.ts';
import { TextChunks } from '../protocol/chunk-text.ts';

/** The machine's time, or a test's. */
export interface StreamerTime {
  /** Milliseconds, never going back. */
  now(): number;
  /** Calls once after `ms`; gives its cancel. */
  after(ms: number, task: () => void): () => void;
}

export type TextSource = string | AsyncIterable<string>;

export interface Rhythm {
  readonly chunkSize: number;
  readonly delayMs: number;
  /** A source is not pulled while so many UTF-16 code units wait. */
  readonly bufferSize: number;
  /** How large pieces may become for a reader who is slower than the rhythm; `chunkSize`: they stay. */
  readonly chunkSizeMax: number;
}

interface Taker {
  give(piece: string | undefined): void;
  fail(error: unknown): void;
}

/** Weight of the latest wait among those before. */
const SHARE = 0.3;

export class StreamedText {
  chunks = 0;
  characters = 0;
  readonly #rhythm: Rhythm;
  readonly #time: StreamerTime;
  readonly #text = new TextChunks();
  readonly #takers: Taker[] = [];
  #iterator: AsyncIterator<string> | undefined;
  /** The source has said all, or failed with `#error`. */
  #complete = false;
  #failed = false;
  #error: unknown;
  #over = false;
  #roomy: (() => void) | undefined;
  #dueMs = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;
  /** When the last piece was given, and how long readers take from one piece to asking for the next. */
  #givenMs = Number.NaN;
  #readerMs = 0;

  constructor(source: TextSource, rhythm: Rhythm, time: StreamerTime) {
    this.#rhythm = rhythm;
    this.#time = time;
    if (typeof source === 'string') {
      this.#text.push(source);
      this.#complete = true;
      return;
    }
    this.#iterator = source[Symbol.asyncIterator]();
    // Its failure is the reader's to see.
    void this.#pull(this.#iterator);
  }

  /** Nothing comes any more. */
  get over(): boolean {
    return this.#over;
  }

  /** The next piece, in the order of asking; undefined at the end. Rejects once with what the source failed with, behind its text. */
  next(): Promise<string | undefined> {
    if (this.#over) return Promise.resolve(undefined);
    this.#notice();
    return new Promise((give, fail) => {
      this.#takers.push({ give, fail });
      this.#serve();
    });
  }

  /** Whoever waits gets the end; the source is told to stop. What waits is dropped. */
  cancel(): void {
    if (this.#over) return;
    this.#end();
    const iterator = this.#iterator;
    // A source that throws on its way out throws to nobody.
    if (!this.#complete) Promise.resolve(iterator?.return?.()).catch(() => {});
  }

  /** Pieces grow with the time a slow reader takes, so that the text keeps its rate. */
  get #size(): number {
    const { chunkSize, delayMs, chunkSizeMax } = this.#rhythm;
    if (delayMs === 0 || this.#readerMs <= delayMs) return chunkSize;
    return Math.min(chunkSizeMax, Math.round((chunkSize * this.#readerMs) / delayMs));
  }

  #notice(): void {
    if (Number.isNaN(this.#givenMs)) return;
    const tookMs = this.#time.now() - this.#givenMs;
    this.#givenMs = Number.NaN;
    this.#readerMs += SHARE * (tookMs - this.#readerMs);
  }

  async #pull(iterator: AsyncIterator<string>): Promise<void> {
    try {
      while (!this.#over) {
        const { done, value } = await iterator.next();
        if (this.#over) return;
        if (done === true) break;
        if (typeof value !== 'string') throw notText(value);
        this.#text.push(value);
        this.#serve();
        if (this.#text.units >= this.#rhythm.bufferSize && !this.#starving) await this.#room();
      }
    } catch (thrown) {
      this.#failed = true;
      this.#error = thrown;
    }
    this.#complete = true;
    this.#serve();
  }

  /** Somebody waits for a piece whose time has come: what there is, is no whole character. */
  get #starving(): boolean {
    return this.#takers.length > 0 && this.#cancelTimer === undefined;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomy = resolve;
    });
  }

  #serve(): void {
    while (this.#takers.length > 0 && !this.#over && this.#cancelTimer === undefined) {
      const waitMs = this.#dueMs - this.#time.now();
      if (waitMs > 0 && this.#text.units > 0) {
        this.#cancelTimer = this.#time.after(waitMs, () => {
          this.#cancelTimer = undefined;
          this.#serve();
        });
        return;
      }
      const piece = this.#text.next(this.#size, this.#complete);
      if (piece === '') {
        if (this.#complete) this.#end();
        // What fills the buffer is no whole character: its rest is let in.
        else this.#wake();
        return;
      }
      this.#give(piece);
    }
  }

  #give(piece: string): void {
    const nowMs = this.#time.now();
    this.#givenMs = nowMs;
    this.#dueMs = nowMs + this.#rhythm.delayMs;
    this.chunks += 1;
    this.characters += piece.length;
    this.#takers.shift()?.give(piece);
    if (this.#text.units < this.#rhythm.bufferSize) this.#wake();
  }

  #wake(): void {
    const roomy = this.#roomy;
    this.#roomy = undefined;
    roomy?.();
  }

  #end(): void {
    this.#over = true;
    this.#cancelTimer?.();
    this.#wake();
    const takers = this.#takers.splice(0);
    if (this.#failed) takers.shift()?.fail(this.#error);
    for (const taker of takers) taker.give(undefined);
  }
}

function notText(value: unknown): MillraceError {
  const problems = `a source of text must give texts, got ${typeof value}`;
  return new MillraceError('MILLRACE_OPTION_INVALID', { problems });
}
