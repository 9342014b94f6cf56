/**
 * One socket towards an upstream, with the undici client that speaks HTTP/1.1 over it. The socket is ours: closing it ends
 * whatever the client does, in every phase, and a second connect of the client is refused.
 */
import { createRequire } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';
import type * as Undici from 'undici';
import type { PooledLine } from './sockets.ts';

export interface LineOptions {
  readonly origin: string;
  /** An idle socket is closed after this long. */
  readonly idleMs: number;
  /** When it has lived long enough, on performance.now: an exchange is its last then. */
  readonly untilMs: number;
  /** More certificate authorities to trust, PEM. */
  readonly ca?: string | undefined;
  readonly onRead?: (() => void) | undefined;
}

/**
 * Begins to connect. 'connect' or 'secureConnect' says when it may be used: see `connectedEvent`. With `onread`, what is read goes to
 * it and no stream object stands in between, over TLS too.
 */
export function connectSocket(
  { origin, ca }: Pick<LineOptions, 'origin' | 'ca'>,
  onread?: net.OnReadOpts,
): net.Socket {
  const url = new URL(origin);
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  const common = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
  if (!secure) return net.connect({ ...common, ...(onread ? { onread } : {}) });
  return tls.connect({
    ...common,
    ALPNProtocols: ['http/1.1'],
    ...(onread ? { onread } : {}),
    ...(net.isIP(host) ? {} : { servername: host }),
    secureContext: trusting(ca),
  });
}

/** Made once: reading some hundred certificates costs more than a handshake. */
const contexts = new Map<string | undefined, tls.SecureContext>();

function trusting(ca: string | undefined): tls.SecureContext {
  const known = contexts.get(ca);
  if (known) return known;
  const context = tls.createSecureContext(
    ca === undefined ? {} : { ca: [...tls.rootCertificates, ca] },
  );
  contexts.set(ca, context);
  return context;
}

export const connectedEvent = (origin: string): 'connect' | 'secureConnect' =>
  origin.startsWith('https:') ? 'secureConnect' : 'connect';

/** Loaded by the first upstream that asks for it: most workers never need what takes a third of their start. */
let undici: typeof Undici;

export class Line implements PooledLine {
  readonly origin: string;
  readonly untilMs: number;
  readonly socket: net.Socket;
  readonly client: Undici.Client;
  /** Exchanges it served. */
  uses = 0;

  /** `socket` is connected. */
  constructor(options: LineOptions, socket: net.Socket) {
    this.origin = options.origin;
    this.untilMs = options.untilMs;
    this.socket = socket;
    let handed = false;
    undici ??= createRequire(import.meta.url)('undici') as typeof undici;
    this.client = new undici.Client(options.origin, {
      // Clocks are the wheel's business; undici's own are coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
      pipelining: 1,
      keepAliveTimeout: options.idleMs,
      keepAliveMaxTimeout: options.idleMs,
      keepAliveTimeoutThreshold: 1000,
      connect: (_, callback) => {
        if (handed) return callback(new Error('the socket is gone'), null);
        handed = true;
        // Not from within: the client misses a connection made before its connect call returned.
        queueMicrotask(() => callback(null, socket));
      },
    });
  }

  /** Can it take another exchange? */
  get usable(): boolean {
    return !this.socket.destroyed && this.socket.writable && !this.socket.readableEnded;
  }

  /** Closes the socket now. */
  destroy(): void {
    this.socket.destroy();
    this.client.destroy().catch(() => {});
  }
}
