/** A request's body as it arrives, copied, up to a bound. */
export class RequestBody {
  readonly #max: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False: it is too large, and what came is forgotten. */
  add(chunk: Uint8Array): boolean {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#max) this.#chunks = [];
    else if (chunk.byteLength > 0) this.#chunks.push(new Uint8Array(chunk));
    return this.#bytes <= this.#max;
  }

  whole(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
