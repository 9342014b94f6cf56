import type { Flow } from './codec.ts';

/** What is used of a transform of node:zlib. */
export interface ZlibEngine {
  /** Bytes of input used. */
  readonly bytesWritten: number;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'end', listener: () => void): unknown;
  write(bytes: Uint8Array, done: () => void): unknown;
  flush(done: () => void): void;
  end(): unknown;
  destroy(): unknown;
}

export interface ZlibFlowParts {
  readonly engine: ZlibEngine;
  /** All of its output together. */
  readonly outputBytesMax: number;
  /** An error of the library as one of ours. */
  wrap(thrown: unknown): Error;
  tooLarge(): Error;
  /** Present: bytes behind the end of the data are an error, this one. */
  trailing?(): Error;
}

/**
 * A flow over one of node:zlib's transforms. Its work is done in libuv's pool, so that its thread may be ended at any time; its
 * output is counted chunk by chunk (16 KiB), and the engine destroyed at the first one above the bound.
 */
export class ZlibFlow implements Flow {
  readonly #parts: ZlibFlowParts;
  #chunks: Uint8Array[] = [];
  #produced = 0;
  #taken = 0;
  #failed: Error | undefined;
  #fail: ((error: Error) => void) | undefined;
  /** The engine found the end of its data, perhaps before the end of its input. */
  #ended = false;
  #onEnd: (() => void) | undefined;

  constructor(parts: ZlibFlowParts) {
    this.#parts = parts;
    parts.engine.on('data', (chunk) => this.#give(chunk));
    parts.engine.on('error', (error) => this.#break(parts.wrap(error)));
    parts.engine.once('end', () => {
      this.#ended = true;
      this.#onEnd?.();
    });
  }

  push(input: Uint8Array): Promise<Uint8Array> {
    this.#taken += input.byteLength;
    return this.#until((done) => this.#parts.engine.write(input, done));
  }

  flush(): Promise<Uint8Array> {
    return this.#until((done) => this.#parts.engine.flush(done));
  }

  async end(): Promise<Uint8Array> {
    const { engine } = this.#parts;
    const rest = await this.#until((done) => {
      this.#onEnd = done;
      engine.end();
      if (this.#ended) done();
    });
    this.close();
    if (engine.bytesWritten < this.#taken) this.#failed = this.#parts.trailing?.();
    if (this.#failed) throw this.#failed;
    return rest;
  }

  close(): void {
    this.#parts.engine.destroy();
  }

  #give(chunk: Uint8Array): void {
    this.#produced += chunk.byteLength;
    if (this.#produced > this.#parts.outputBytesMax) this.#break(this.#parts.tooLarge());
    else this.#chunks.push(chunk);
  }

  #break(error: Error): void {
    this.#failed ??= error;
    this.#chunks = [];
    this.#parts.engine.destroy();
    this.#fail?.(this.#failed);
  }

  #until(run: (done: () => void) => void): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failed) return reject(this.#failed);
      this.#fail = reject;
      run(() => {
        this.#fail = undefined;
        if (this.#failed) return reject(this.#failed);
        const chunks = this.#chunks;
        this.#chunks = [];
        resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      });
    });
  }
}
