/**
 * One WebSocket towards a back end: the contract that the `ws` client stands behind, and that tests fake.
 *
 *   open ─▶ opened ─▶ message … ─▶ closed
 *     └───▶ failed
 */
import type { MillraceError } from '../errors.ts';

export interface SocketRequest {
  /** ws:// or wss:// */
  readonly url: string;
  /** The only one offered, and the one that must be accepted; absent: none. */
  readonly protocol: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Name lookup, connection, TLS and upgrade together. */
  readonly handshakeTimeoutMs: number;
  /** Largest message that is taken. */
  readonly messageBytesMax: number;
}

/** Never called from within `open`, and not any more after `close()` or `terminate()`. */
export interface SocketHandler {
  opened(): void;
  /** Instead of `opened`, last. */
  failed(error: MillraceError): void;
  /** One whole message; a text is valid UTF-8. Borrowed until return. */
  message(bytes: Uint8Array, binary: boolean): void;
  /** A ping or a pong. Pings are answered by the socket itself. */
  alive(): void;
  /** Less waits to be sent than before. */
  drained(): void;
  /** Last. 1005: a close frame without a code; 1006: none at all. `tooLarge`: a message above the bound. */
  closed(code: number, reason: string, tooLarge: boolean): void;
}

export interface UpstreamSocket {
  /** Bytes that wait to be sent. */
  readonly buffered: number;
  /** Another reader from here on; only once it is open. */
  attach(handler: SocketHandler): void;
  /** The bytes are the socket's from here on, and never written to. */
  send(bytes: Uint8Array, binary: boolean): void;
  ping(): void;
  /** Stop reading; messages already read may still come. */
  pause(): void;
  resume(): void;
  /** After what was sent. Without a code: a close frame without one. */
  close(code?: number, reason?: string): void;
  /** Drops it now, in whatever phase. */
  terminate(): void;
}

export interface SocketTransport {
  open(upstream: string, request: SocketRequest, handler: SocketHandler): UpstreamSocket;
  /** Sockets open or opening now. */
  readonly sockets: number;
  /** Closes what is left; settles when all are gone. */
  close(): Promise<void>;
}
