/**
 * A WebSocket server, as the engine needs it: two implementations (uws.ts, ws.ts), one behaviour, one contract suite.
 */
import type { TlsMaterial } from './tls-material.ts';

/** Facts of an upgrade or plain request, copied: valid for ever. Header names are lower case. */
export interface RequestHead {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly query: string;
  header(name: string): string | undefined;
  /** All of them; absent where a client has none. */
  headers?(): Readonly<Record<string, string>>;
  /** How often a header was sent (Host must be once). -1 when the backend cannot tell. */
  readonly hosts: number;
  /** The peer's address as text, IPv4-mapped IPv6 in IPv4 form. */
  readonly address: string;
}

export type UpgradeVerdict =
  | {
      readonly accept: true;
      readonly protocol?: string;
      /** Added to the answer. */
      readonly headers?: Readonly<Record<string, string>>;
      readonly user: unknown;
    }
  | { readonly accept: false; readonly reply: HttpReply };

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/**
 * What becomes of a plain request whose answer comes in pieces: a connection, opened at once (the body is still on its way). Its one `message` is the
 * whole body; the first bytes it sends begin with a head (protocol/answer-head.ts), all others are body. `close` with 1000 ends the answer;
 * any other code says so by status, or cuts an answer that has begun, so that nobody takes it for complete.
 */
export type StreamVerdict =
  | {
      readonly accept: true;
      readonly user: unknown;
      /** Most bytes of the body: above it 413 is answered. */
      readonly bodyBytesMax: number;
      /** Added to whatever head the answer gets. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly accept: false; readonly reply: HttpReply };

/** What became of a send. There is no "dropped": a backend that would drop is a bug and throws. Over TLS the ws backend says 'buffered' until the turn is over. */
export type SendStatus = 'sent' | 'buffered' | 'closed';

/** One client's socket, or one answer on it (see StreamVerdict). After close every method is a no-op ('closed', 0): a stale handle is harmless. */
export interface Connection {
  /** What accept attached. */
  user: unknown;
  /**
   * One whole message. Owns nothing after it returns: bytes that cannot be written now are copied. `bytes` may lie in shared memory.
   * Any size: frames of 16 KiB and more are made safe by the backend.
   */
  send(bytes: Uint8Array, binary: boolean): SendStatus;
  /** Bytes queued behind back-pressure. */
  buffered(): number;
  /**
   * Runs `write`, always and before it returns, with its sends joined into few system calls. They may say 'sent' of what waits after all when cork
   * returns: `buffered()` tells.
   */
  cork(write: () => void): void;
  ping(): void;
  /** Stops reading it until `resume`; what was read already still comes. Absent: it cannot be stopped. */
  pause?(): void;
  resume?(): void;
  /** Close frame, then the socket when the peer answered or after a short wait. Reason at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Drops the socket now. */
  terminate(): void;
  readonly open: boolean;
}

/** All handlers are called on main; a throw in one is caught, counted (`fault`), and closes that session with 1011 (or answers 500). */
export interface BackendHandlers {
  /** May answer later (asynchronous authentication); the client may leave meanwhile. */
  upgrade(head: RequestHead): UpgradeVerdict | Promise<UpgradeVerdict>;
  open(connection: Connection): void;
  /** `bytes` are borrowed until return. A text message is valid UTF-8. */
  message(connection: Connection, bytes: Uint8Array, binary: boolean): void;
  /** Back-pressure fell: `buffered()` is smaller than before. The core of uWebSockets.js tells over TLS only when all of it is gone. */
  drain(connection: Connection): void;
  /** Any sign of life other than a message: ping or pong. */
  alive(connection: Connection): void;
  /** Last call for the connection. 1006 = no close frame. */
  close(connection: Connection, code: number, reason: string): void;
  /**
   * A plain request, before its body is read. Undefined: `http` answers it. Never asked for HEAD. A refusal ends the connection.
   */
  stream?(head: RequestHead): StreamVerdict | Promise<StreamVerdict> | undefined;
  /** Plain HTTP. `body` is what came, at most `bodyBytesMax` (else 413 was answered). */
  http(head: RequestHead, body: Uint8Array): HttpReply | Promise<HttpReply>;
  fault(error: unknown, where: string): void;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly messageBytesMax: number;
  /** Most body bytes of a plain request. */
  readonly bodyBytesMax: number;
  /** Share the port with other processes on purpose. Otherwise taken = MILLRACE_PORT_TAKEN. */
  readonly reusePort: boolean;
  /** Absent: permessage-deflate is not offered. */
  readonly deflate?: DeflateTerms;
  /** Absent: in the clear. */
  readonly tls?: TlsMaterial;
  /** Absent: no connection begins with a PROXY header. */
  readonly proxy?: ProxyPeers;
}

/** permessage-deflate (RFC 7692), for clients that offer it. Binary messages are not compressed: who sends such has done so already. */
export interface DeflateTerms {
  /** `shared`: no context is kept; a window of so much, where the backend can keep one per connection. */
  readonly window: 'shared' | '1KiB' | '2KiB' | '4KiB';
  /** Shorter messages go as they are. */
  readonly minBytes: number;
}

/** Who may begin a connection with a PROXY header. */
export interface ProxyPeers {
  /** Every connection must begin with one. */
  readonly required: boolean;
  trusts(address: string): boolean;
}

export interface Backend {
  readonly name: 'uws' | 'ws';
  readonly version: string;
  /** Throws MILLRACE_PORT_TAKEN or MILLRACE_LISTEN_FAILED. */
  listen(options: ListenOptions, handlers: BackendHandlers): Promise<Listening>;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** It speaks TLS. */
  readonly secure?: boolean;
  /** Handshakes that begin from here on see these certificates; open connections stay. Only where it listens with TLS. */
  renew?(tls: TlsMaterial): Promise<void>;
  /** No new connections; open ones stay. Idempotent. */
  unlisten(): void;
  /** Drops what is still open and frees the port. */
  close(): Promise<void>;
}
