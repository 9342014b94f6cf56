/**
 * llama.cpp's server keeps the answer to a request that names a conversation, and generates on when its client is gone. `from` counts bytes
 * of the body, without its chunk framing: the decoder keeps the piece of an event that it has, and gets the byte after it next.
 */
import type { ProviderRequest } from '../provider.ts';
import type { Resumption } from '../resumption.ts';

const NONE = new Uint8Array(0);

export class LlamaResumption implements Resumption {
  readonly request: ProviderRequest;
  readonly #name: string;
  #bytes = 0;

  constructor(request: ProviderRequest, nonce: string) {
    this.#name = `millrace-${nonce}`;
    this.request = {
      ...request,
      headers: { ...request.headers, 'x-conversation-id': this.#name },
    };
  }

  take(bytes: Uint8Array): Uint8Array {
    this.#bytes += bytes.byteLength;
    return bytes;
  }

  rest(): Uint8Array {
    return NONE;
  }

  again(): ProviderRequest {
    const path = `/stream?conv_id=${this.#name}&from=${this.#bytes}`;
    return { method: 'GET', path, headers: this.#headers(), body: '' };
  }

  /** A running one is stopped by it, a complete one would be kept for minutes. */
  forget(): ProviderRequest[] {
    const path = `/stream?conv_id=${this.#name}`;
    return [{ method: 'DELETE', path, headers: this.#headers(), body: '' }];
  }

  #headers(): Readonly<Record<string, string>> {
    const { 'content-type': _, 'x-conversation-id': __, ...headers } = this.request.headers;
    return headers;
  }
}
