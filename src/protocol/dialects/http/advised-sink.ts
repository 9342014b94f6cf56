/** Puts more headers into the head of an HTTP answer, which is the beginning of its first frame: what its encoder need not know. */
import { decodeHead, headed } from '../../answer-head.ts';
import type { FrameSink } from '../../dialect.ts';

export class AdvisedSink implements FrameSink {
  readonly #out: FrameSink;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(out: FrameSink, headers: Readonly<Record<string, string>>) {
    this.#out = out;
    this.#headers = headers;
  }

  frame(bytes: Uint8Array, length: number, flags: number, sequence: number): void {
    const headers = this.#headers;
    if (headers === undefined) return this.#out.frame(bytes, length, flags, sequence);
    this.#headers = undefined;
    const { head, body } = decodeHead(Buffer.from(bytes.subarray(0, length)));
    const whole = headed({ ...head, headers: { ...head.headers, ...headers } }, body);
    this.#out.frame(whole, whole.byteLength, flags, sequence);
  }
}
