/**
 * One HTTP exchange with an upstream: the contract that an own reader and undici's dispatch stand behind, and that the
 * simulation fakes.
 */
import type { MillraceError } from '../errors.ts';
import type { ReaderName } from '../options/names.ts';
import type { HeaderReader } from './provider.ts';

export interface UpstreamAddress {
  readonly name: string;
  /** http://host:port or https://host:port */
  readonly origin: string;
  /** Who reads its answers; absent: auto. */
  readonly reader?: ReaderName;
  /** A conversation may be continued by the id of the last response of its socket. */
  readonly continuesById?: boolean;
}

export interface ExchangeRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Private to the exchange from here on. */
  readonly body: string;
}

/** At most one of `end` and `fail` comes, last, and neither after `cancel()`. Never called from within `open`. */
export interface ExchangeHandler {
  /** The connection is there and the request written. For the clocks. */
  sent(): void;
  head(status: number, headers: HeaderReader): void;
  /** Body bytes, framing removed. Borrowed until return. */
  data(bytes: Uint8Array): void;
  /** The body ended as its framing said. */
  end(): void;
  /** Refused, reset, malformed: MILLRACE_UPSTREAM_REFUSED or MILLRACE_UPSTREAM_RESET. */
  fail(error: MillraceError): void;
}

export interface Exchange {
  /** Stop reading the socket; bytes already read may still come once. */
  pause(): void;
  resume(): void;
  /**
   * Close the socket now, in whatever phase: queued (then it is never written), connecting, waiting, streaming. Idempotent.
   */
  cancel(): void;
}

export interface Transport {
  open(upstream: UpstreamAddress, request: ExchangeRequest, handler: ExchangeHandler): Exchange;
  /** Sockets open now, busy and idle. */
  readonly sockets: number;
  /** From here on so many sockets stay open there, busy or idle, as far as the peer lets idle ones live. Said again and again: it opens what is missing. */
  keep(upstream: UpstreamAddress, sockets: number): void;
  /** Sockets that wait there for an exchange. */
  idle(upstream: UpstreamAddress): number;
  /** Closes that many of them, those first that were used longest ago. */
  shed(upstream: UpstreamAddress, sockets: number): void;
  /** Closes idle sockets, lets busy ones finish. */
  close(): Promise<void>;
}
