/** Flows of zstd-napi: synchronous, one context each (about 3.5 MiB at level 3, of which the window is 2). */
import type * as Zstd from 'zstd-napi/binding.js';
import { compressedInvalid, type Flow, inflatedTooLarge } from './codec.ts';
import type { ZstdBinding } from './zstd-napi.ts';

const CHUNK_BYTES = 64 * 1024;
const nothing = new Uint8Array(0);

export class ZstdNapiCompressor implements Flow {
  readonly #zstd: ZstdBinding;
  #context: Zstd.CCtx | undefined;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);

  constructor(zstd: ZstdBinding, context: Zstd.CCtx) {
    this.#zstd = zstd;
    this.#context = context;
  }

  push(input: Uint8Array): Uint8Array {
    return this.#run(input, this.#zstd.EndDirective.continue);
  }

  flush(): Uint8Array {
    return this.#run(nothing, this.#zstd.EndDirective.flush);
  }

  end(): Uint8Array {
    const rest = this.#run(nothing, this.#zstd.EndDirective.end);
    this.close();
    return rest;
  }

  close(): void {
    this.#context = undefined;
  }

  #run(input: Uint8Array, directive: Zstd.EndDirective): Uint8Array {
    const context = open(this.#context);
    const made: Uint8Array[] = [];
    for (let at = 0; ; ) {
      const rest = at === 0 ? input : input.subarray(at);
      const [left, produced, consumed] = context.compressStream2(this.#chunk, rest, directive);
      at += consumed;
      if (produced > 0) made.push(this.#chunk.slice(0, produced));
      const finished =
        directive === this.#zstd.EndDirective.continue ? at >= input.byteLength : left === 0;
      if (finished) return joined(made);
    }
  }
}

export class ZstdNapiDecompressor implements Flow {
  #context: Zstd.DCtx | undefined;
  readonly #outputBytesMax: number;
  readonly #chunk: Uint8Array;
  #produced = 0;
  /** What the library said last: 0 = a frame is complete. */
  #expects = 1;
  #failed: Error | undefined;

  constructor(zstd: ZstdBinding, context: Zstd.DCtx, outputBytesMax: number) {
    this.#context = context;
    this.#outputBytesMax = outputBytesMax;
    this.#chunk = new Uint8Array(zstd.dStreamOutSize());
  }

  push(input: Uint8Array): Uint8Array {
    if (this.#failed) throw this.#failed;
    try {
      return this.#run(input);
    } catch (thrown) {
      this.#failed = thrown as Error;
      this.close();
      throw thrown;
    }
  }

  flush(): Uint8Array {
    return nothing;
  }

  end(): Uint8Array {
    if (this.#failed) throw this.#failed;
    this.close();
    if (this.#expects !== 0) throw compressedInvalid('zstd', 'it ends too early');
    return nothing;
  }

  close(): void {
    this.#context = undefined;
  }

  #run(input: Uint8Array): Uint8Array {
    const context = open(this.#context);
    const made: Uint8Array[] = [];
    for (let at = 0; ; ) {
      const [expects, produced, consumed] = decompress(context, this.#chunk, input.subarray(at));
      at += consumed;
      this.#produced += produced;
      if (this.#produced > this.#outputBytesMax) throw inflatedTooLarge(this.#outputBytesMax);
      if (produced > 0) made.push(this.#chunk.slice(0, produced));
      // With no input it says what a new frame would need, though none has begun.
      if (consumed > 0 || produced > 0) this.#expects = expects;
      const full = produced === this.#chunk.byteLength;
      if (at >= input.byteLength && !full) return joined(made);
    }
  }
}

function decompress(context: Zstd.DCtx, chunk: Uint8Array, input: Uint8Array) {
  try {
    return context.decompressStream(chunk, input);
  } catch (thrown) {
    throw compressedInvalid('zstd', (thrown as Error).message);
  }
}

function open<T>(context: T | undefined): T {
  if (context === undefined) throw compressedInvalid('zstd', 'the flow has ended');
  return context;
}

const joined = (parts: readonly Uint8Array[]) =>
  parts.length === 1 ? parts[0] : Buffer.concat(parts);
