/**
 * An upstream-side wire protocol. Pure: a request in, HTTP bytes out; response bytes in, events out.
 */
import type { MillraceError } from '../errors.ts';
import type { ResumptionName } from '../options/names.ts';
import type { EventSink } from './events.ts';
import type { ModelRequest } from './request.ts';
import type { Resume } from './resumption.ts';

export interface ProviderRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** Path and query, appended to the upstream's base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a provider may know of the upstream it encodes for. */
export interface UpstreamFacts {
  readonly name: string;
  readonly apiKey?: string;
  /** The model's name there, when it differs. */
  readonly model: string;
}

export interface Provider {
  readonly name: string;
  /** Throws a MillraceError (MILLRACE_FIELD_UNSUPPORTED) for what this protocol cannot say. */
  encode(request: ModelRequest, upstream: UpstreamFacts): ProviderRequest;
  /** A decoder for the body of a 200 response whose content type it accepts. */
  decoder(upstream: string, sink: EventSink, bounds: DecoderBounds): Decoder;
  /**
   * The failure that a response without a stream means. `body` is at most 64 KiB of it. `apiKey` is the key that was sent: it is
   * masked where the upstream quotes it (whatever else looks like a key is masked anyway).
   */
  refusal(
    upstream: string,
    status: number,
    headers: HeaderReader,
    body: Uint8Array,
    apiKey?: string,
  ): MillraceError;
  /** Ways in which an answer that broke off can go on where it was; which one an upstream knows, its option `resume` says. */
  readonly resume?: Partial<Readonly<Record<ResumptionName, Resume>>>;
}

export interface DecoderBounds {
  /** Largest single event of the upstream, bytes. */
  readonly eventBytesMax: number;
  /** Called for every event that needed a full JSON parse. */
  readonly onFallback?: () => void;
}

/** Reads a response header, lower-case name; undefined when absent. Several values come joined by ", ". */
export type HeaderReader = (name: string) => string | undefined;

/**
 * Resumable at any byte. `push` hands events to the sink and ends with `sink.flush()`. After the sink saw finish or fail,
 * nothing more comes, whatever is pushed.
 */
export interface Decoder {
  push(bytes: Uint8Array): void;
  /**
   * The body is over: `cause` undefined = ended by its framing, otherwise how it broke. A stream that already said its finish
   * reason is complete all the same; any other ends in one failure (`cause`, or MILLRACE_UPSTREAM_TRUNCATED).
   */
  close(cause?: MillraceError): void;
  /**
   * 'open': content may come. 'finished': the finish reason was seen, only usage and the marker are missing (a short grace
   * is enough). 'done': finish or fail was handed over; the connection may be reused if the body ended, else closed.
   */
  readonly state: 'open' | 'finished' | 'done';
}
