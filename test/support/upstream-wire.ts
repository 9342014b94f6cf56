/** The answer of an upstream as the bytes of its connection: one body under each framing that HTTP/1.1 has, cut off anywhere, in each way. */
import { MillraceError } from '../../src/errors.ts';
import { Coalescer } from '../../src/protocol/coalesce.ts';
import type { Encoder } from '../../src/protocol/dialect.ts';
import type { Decoder, Provider } from '../../src/protocol/provider.ts';
import {
  MalformedResponse,
  type ResponseEvents,
  ResponseReader,
} from '../../src/worker/connect/response.ts';
import { Gate } from '../../src/worker/gate.ts';

/**
 * reset: the connection is reset. fin: it is closed between or within chunks. chunked end: the last chunk comes too early. short: closed before
 * `content-length` bytes came. eof: the body's only end is the connection's.
 */
export const cuts = ['reset', 'fin', 'chunked end', 'short', 'eof'] as const;
export type Cut = (typeof cuts)[number];

const CHUNK_END = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

const heads: Readonly<Record<Cut, string>> = {
  reset: 'transfer-encoding: chunked',
  fin: 'transfer-encoding: chunked',
  'chunked end': 'transfer-encoding: chunked',
  short: 'content-length: #',
  eof: 'connection: close',
};

export class UpstreamWire {
  readonly cut: Cut;
  /** It may be cut after 0 to so many bytes: of the connection, or of the body where it is the last chunk that comes early. */
  readonly length: number;
  readonly #head: Buffer;
  readonly #body: Buffer;
  readonly #bytes: Buffer;
  /** Where chunks begin, in the connection and in the body. */
  readonly #chunks: { readonly at: number; readonly from: number; readonly size: number }[] = [];

  /** `reads`: the body in the pieces that become chunks. */
  constructor(cut: Cut, reads: readonly Uint8Array[], contentType: string) {
    this.cut = cut;
    this.#body = Buffer.concat(reads);
    const framing = heads[cut].replace('#', String(this.#body.length));
    const head = `HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\n${framing}\r\n\r\n`;
    this.#head = Buffer.from(head);
    this.#bytes = Buffer.concat([this.#head, ...this.#framed(reads)]);
    this.length = cut === 'chunked end' ? this.#body.length : this.#bytes.length;
  }

  /** What comes before the cut at `at`. */
  upTo(at: number): Buffer {
    if (this.cut !== 'chunked end') return this.#bytes.subarray(0, at);
    const chunk = this.#chunks.findLast(({ from }) => from < at);
    if (!chunk) return Buffer.concat([this.#head, LAST_CHUNK]);
    const rest = this.#body.subarray(chunk.from, at);
    const whole = this.#bytes.subarray(0, chunk.at);
    return Buffer.concat([
      whole,
      Buffer.from(`${rest.length.toString(16)}\r\n`),
      rest,
      CHUNK_END,
      LAST_CHUNK,
    ]);
  }

  /** Body bytes among them. */
  bodyBefore(at: number): number {
    if (this.cut === 'chunked end') return at;
    if (this.#chunks.length === 0) return Math.max(0, at - this.#head.length);
    const chunk = this.#chunks.findLast((each) => each.at <= at);
    if (!chunk) return 0;
    const lineBytes = chunk.size.toString(16).length + 2;
    return chunk.from + Math.min(chunk.size, Math.max(0, at - chunk.at - lineBytes));
  }

  /** The failure that a cut there means: an end that looks like a good one is a truncation, any other a broken connection. */
  codeAt(at: number): string {
    const looksGood = this.cut === 'chunked end' || (this.cut === 'eof' && at >= this.#head.length);
    return looksGood ? 'MILLRACE_UPSTREAM_TRUNCATED' : 'MILLRACE_UPSTREAM_RESET';
  }

  #framed(reads: readonly Uint8Array[]): Buffer[] {
    if (!heads[this.cut].endsWith('chunked')) return [this.#body];
    let at = this.#head.length;
    let from = 0;
    return reads.map((read) => {
      this.#chunks.push({ at, from, size: read.length });
      const chunk = Buffer.concat([
        Buffer.from(`${read.length.toString(16)}\r\n`),
        read,
        CHUNK_END,
      ]);
      at += chunk.length;
      from += read.length;
      return chunk;
    });
  }
}

/** From the bytes of a connection to the frames of a client, as an attempt joins the parts; without sockets, threads and clocks. */
export class PurePipeline implements ResponseEvents {
  /** Ends that were handed on: one. */
  ends = 0;
  readonly #provider: Provider;
  readonly #gate: Gate;
  readonly #reader = new ResponseReader(this);
  #decoder: Decoder | undefined;

  constructor(provider: Provider, encoder: Encoder) {
    this.#provider = provider;
    this.#gate = new Gate(new Coalescer(encoder));
    encoder.from('lab');
  }

  get over(): boolean {
    return this.ends > 0;
  }

  /** Bytes of the connection; ours are spoilt afterwards, as a socket's buffer is. */
  push(bytes: Uint8Array): void {
    if (this.over) return;
    const read = Buffer.from(bytes);
    this.#guarded(() => this.#reader.push(read));
    read.fill(0x21);
  }

  /** The peer closed its side. */
  end(): void {
    if (!this.over) this.#guarded(() => this.#reader.end());
  }

  /** The connection is gone. */
  lost(reason: string): void {
    if (this.over) return;
    const cause = new MillraceError('MILLRACE_UPSTREAM_RESET', { upstream: 'lab', reason });
    if (this.#decoder) this.#decoder.close(cause);
    else this.#gate.fail(cause);
    this.#look();
  }

  head(): void {
    const bounds = { eventBytesMax: 1024 * 1024 };
    this.#decoder = this.#provider.decoder('lab', this.#gate, bounds);
  }

  body(bytes: Uint8Array): void {
    this.#decoder?.push(bytes);
    this.#look();
  }

  done(): void {
    if (this.over) return;
    this.#decoder?.close();
    this.#look();
  }

  #look(): void {
    if (this.over) return;
    const { error, finished } = this.#gate;
    if (error) {
      this.ends++;
      this.#gate.passFailure(error);
    } else if (finished) this.ends++;
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (!(thrown instanceof MalformedResponse)) throw thrown;
      this.lost(thrown.message);
    }
  }
}

/** Plays the wire up to `at` in pieces of these lengths (the last one is repeated), then cuts it. */
export function play(
  wire: UpstreamWire,
  at: number,
  pipeline: PurePipeline,
  sizes: readonly number[],
): void {
  const bytes = wire.upTo(at);
  let from = 0;
  for (let n = 0; from < bytes.length; n++) {
    const to = from + sizes[Math.min(n, sizes.length - 1)];
    pipeline.push(bytes.subarray(from, to));
    from = to;
  }
  if (wire.cut === 'reset') pipeline.lost('ECONNRESET');
  else if (wire.cut !== 'chunked end') pipeline.end();
}
