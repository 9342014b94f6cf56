/**
 * The guide's LlmStreamer, alone: a text, whole or as a model writes it, in pieces of a reader's characters, in a rhythm.
 *
 *     const streamer = new LlmStreamer();                      // 20 characters every 50 ms
 *     const id = streamer.startStream(answer);                 // a text, or anything to `for await` texts from
 *     for (let chunk; (chunk = await streamer.nextChunk(id)) !== undefined; ) await socket.send(chunk);
 *     streamer.endStream(id);
 *
 *     for await (const chunk of streamer.stream(answer)) await socket.send(chunk);      // the same
 */
import { MillraceError } from '../errors.ts';
import { type Rhythm, StreamedText, type StreamerTime, type TextSource } from './streamed-text.ts';

export type { StreamerTime, TextSource } from './streamed-text.ts';

export interface LlmStreamerOptions {
  /** Characters (graphemes, UAX #29) of a piece at most; default 20. No character is cut, up to 64 UTF-16 code units. */
  readonly chunkSize?: number;
  /** Milliseconds between two pieces at least; default 50. The first comes at once. 0: as fast as they are asked for. */
  readonly delayMs?: number;
  /** UTF-16 code units of a source that may wait before it is not pulled any more; default 16,384. One item of the source comes on top. */
  readonly bufferSize?: number;
  /**
   * Pieces grow up to so many characters for a reader who takes longer than `delayMs` from one piece to asking for the next, so that the text
   * keeps its rate. Default: `chunkSize`, so that they do not.
   */
  readonly chunkSizeMax?: number;
  /** Streams at once; default 10,000. */
  readonly streamsMax?: number;
  /** Default: the machine's time. */
  readonly time?: StreamerTime;
}

export interface StartOptions {
  /** Cancels the stream. */
  readonly signal?: AbortSignal;
}

export interface StreamSummary {
  readonly chunks: number;
  /** UTF-16 code units given. */
  readonly characters: number;
  readonly durationMs: number;
}

export interface LlmStreamerStats {
  /** Streams that run now. */
  readonly active: number;
  readonly started: number;
  /** Streams that were read to their end. */
  readonly finished: number;
  /** Those that were ended before. */
  readonly cancelled: number;
  readonly chunks: number;
  readonly characters: number;
}

interface Running {
  readonly text: StreamedText;
  readonly startMs: number;
  readonly forget: () => void;
}

const machineTime: StreamerTime = {
  now: () => performance.now(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

export class LlmStreamer {
  readonly #rhythm: Rhythm;
  readonly #streamsMax: number;
  readonly #time: StreamerTime;
  readonly #streams = new Map<string, Running>();
  #started = 0;
  #finished = 0;
  #cancelled = 0;
  /** Of streams that are over. */
  #chunks = 0;
  #characters = 0;

  /** Throws MILLRACE_OPTION_INVALID for a number out of its range. */
  constructor(options: LlmStreamerOptions = {}) {
    const { chunkSize = 20, delayMs = 50, bufferSize = 16_384, streamsMax = 10_000 } = options;
    const { chunkSizeMax = chunkSize } = options;
    check('chunkSize', chunkSize, 1, 65_536);
    check('delayMs', delayMs, 0, 2 ** 31 - 1);
    check('bufferSize', bufferSize, 1, 2 ** 30);
    check('chunkSizeMax', chunkSizeMax, chunkSize, 65_536);
    check('streamsMax', streamsMax, 1, 2 ** 24);
    this.#rhythm = { chunkSize, delayMs, bufferSize, chunkSizeMax };
    this.#streamsMax = streamsMax;
    this.#time = options.time ?? machineTime;
  }

  /** Begins a stream and gives its id, which is known until `endStream` or `cancelStream`. A source is pulled from now on. Throws MILLRACE_STREAMS_EXHAUSTED. */
  startStream(source: TextSource, { signal }: StartOptions = {}): string {
    const max = this.#streamsMax;
    if (this.#streams.size >= max) throw new MillraceError('MILLRACE_STREAMS_EXHAUSTED', { max });
    const id = `stream_${crypto.randomUUID()}`;
    const cancel = () => void this.cancelStream(id);
    const text = new StreamedText(source, this.#rhythm, this.#time);
    const forget = () => signal?.removeEventListener('abort', cancel);
    this.#streams.set(id, { text, startMs: this.#time.now(), forget });
    this.#started += 1;
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
    return id;
  }

  /**
   * The next piece at its time; undefined at the end, and when the stream is cancelled meanwhile. Rejects once with what its source failed
   * with, behind the text that came before, and with MILLRACE_STREAM_UNKNOWN for a stream that is over.
   */
  async nextChunk(id: string): Promise<string | undefined> {
    return this.#running(id).text.next();
  }

  /** Ends a stream, read or not, and says what it gave. Throws MILLRACE_STREAM_UNKNOWN. */
  endStream(id: string): StreamSummary {
    const { text, startMs } = this.#running(id);
    if (text.over) this.#finished += 1;
    else this.#cancelled += 1;
    this.#leave(id);
    const { chunks, characters } = text;
    return { chunks, characters, durationMs: this.#time.now() - startMs };
  }

  /** Ends it at once: its source stops, whoever waits for a piece gets the end. False: there is no such stream. */
  cancelStream(id: string): boolean {
    if (!this.#streams.has(id)) return false;
    this.#cancelled += 1;
    this.#leave(id);
    return true;
  }

  /** All of a stream, to iterate over; leaving the loop ends it. */
  async *stream(
    source: TextSource,
    options: StartOptions = {},
  ): AsyncGenerator<string, void, void> {
    const id = this.startStream(source, options);
    try {
      const text = this.#streams.get(id)?.text;
      for (let chunk = await text?.next(); chunk !== undefined; chunk = await text?.next()) {
        yield chunk;
      }
    } finally {
      if (this.#streams.has(id)) this.endStream(id);
    }
  }

  stats(): LlmStreamerStats {
    let chunks = this.#chunks;
    let characters = this.#characters;
    for (const { text } of this.#streams.values()) {
      chunks += text.chunks;
      characters += text.characters;
    }
    return {
      active: this.#streams.size,
      started: this.#started,
      finished: this.#finished,
      cancelled: this.#cancelled,
      chunks,
      characters,
    };
  }

  #running(id: string): Running {
    const running = this.#streams.get(id);
    if (!running) throw new MillraceError('MILLRACE_STREAM_UNKNOWN', { id: id.slice(0, 64) });
    return running;
  }

  #leave(id: string): void {
    const { text, forget } = this.#running(id);
    this.#streams.delete(id);
    forget();
    this.#chunks += text.chunks;
    this.#characters += text.characters;
    text.cancel();
  }
}

function check(option: string, got: number, least: number, most: number): void {
  if (Number.isInteger(got) && got >= least && got <= most) return;
  const problems = `${option} must be an integer from ${least} to ${most}, got ${String(got).slice(0, 40)}`;
  throw new MillraceError('MILLRACE_OPTION_INVALID', { problems });
}
