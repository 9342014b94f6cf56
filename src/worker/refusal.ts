/** A response that is no stream: as much of it as its failure needs. */
import type { MillraceError } from '../errors.ts';
import type { HeaderReader, Provider } from '../protocol/provider.ts';

/** How much of an error response is read. */
const BYTES_MAX = 64 * 1024;

export class Refusal {
  readonly status: number;
  readonly #headers: HeaderReader;
  readonly #body: Buffer[] = [];
  #bytes = 0;

  constructor(status: number, headers: HeaderReader) {
    this.status = status;
    this.#headers = headers;
  }

  /** False: enough was read. */
  add(bytes: Uint8Array): boolean {
    const room = BYTES_MAX - this.#bytes;
    this.#body.push(Buffer.from(bytes.subarray(0, room)));
    this.#bytes += Math.min(room, bytes.byteLength);
    return bytes.byteLength < room;
  }

  error(provider: Provider, upstream: string, apiKey: string | undefined): MillraceError {
    const body = Buffer.concat(this.#body);
    return provider.refusal(upstream, this.status, this.#headers, body, apiKey);
  }
}
