/** The node:http server under the ws backend: in the clear or over TLS, with or without PROXY headers in front. */
import { createServer, type Server as HttpServer, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { MillraceError } from '../../errors.ts';
import type { ListenOptions } from './backend.ts';
import { HEAD_BYTES_MAX } from './handshake.ts';
import { inherit, takeProxyHeader } from './proxy-door.ts';
import { type Credential, matchServerName, type TlsMaterial } from './tls-material.ts';

/** As long as the core of uWebSockets.js waits for a request's head; a TLS handshake may take as long. */
const HEAD_TIMEOUT_MS = 10_000;
/** A request's head and body together. */
const BODY_TIMEOUT_MS = 60_000;

const http: ServerOptions = {
  requestTimeout: BODY_TIMEOUT_MS,
  headersTimeout: HEAD_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: HEAD_BYTES_MAX,
};

export class WsServer {
  /** Answers requests. */
  readonly http: HttpServer;
  /** Takes connections: the same, or one in front that takes PROXY headers off. */
  readonly #front: NetServer;
  readonly #tls: TlsServer | undefined;
  /** Every connection, in whatever state. */
  readonly #sockets = new Set<Socket>();
  #ended: Promise<void> | undefined;

  constructor({ tls, proxy }: ListenOptions) {
    this.#tls = tls && new TlsServer(tls);
    this.http = this.#tls?.server ?? createServer(http);
    this.http.maxHeadersCount = 0; // a limit would drop headers, Upgrade among them; their bytes are bounded
    if (proxy === undefined) this.#front = this.http;
    else {
      this.#front = createNetServer({ noDelay: true }, (socket) =>
        takeProxyHeader(socket, proxy, () => this.#pass(socket)),
      );
      this.http.emit('listening'); // starts its clocks: it will see connections without listening itself
    }
    this.#front.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Node reads what was given back to the socket, as a stream over plain HTTP and by itself over TLS. */
  #pass(socket: Socket): void {
    if (this.#tls) this.#tls.expect(socket);
    this.http.emit('connection', socket);
    if (!this.#tls) process.nextTick(() => socket.resume());
  }

  /** @throws MILLRACE_PORT_TAKEN, MILLRACE_LISTEN_FAILED */
  listen({ host, port, reusePort }: ListenOptions): Promise<{ address: string; port: number }> {
    return new Promise((resolve, reject) => {
      if (reusePort && !canSharePort) {
        const reason = 'the ws backend shares a port from Node 22.12 on';
        reject(new MillraceError('MILLRACE_LISTEN_FAILED', { host, port, reason }));
        return;
      }
      this.#front.once('error', (cause: NodeJS.ErrnoException) => {
        const taken = cause.code === 'EADDRINUSE';
        reject(
          taken
            ? new MillraceError('MILLRACE_PORT_TAKEN', { host, port }, { cause })
            : new MillraceError(
                'MILLRACE_LISTEN_FAILED',
                { host, port, reason: cause.code ?? cause.message },
                { cause },
              ),
        );
      });
      const options = { host, port, exclusive: true, backlog: 512, reusePort };
      this.#front.listen(options, () =>
        resolve(this.#front.address() as { address: string; port: number }),
      );
    });
  }

  renew(tls: TlsMaterial): void {
    this.#tls?.renew(tls);
  }

  unlisten(): Promise<void> {
    this.#ended ??= new Promise((resolve) => {
      this.#front.close(() => resolve());
      if (this.#front !== this.http) this.http.close();
    });
    return this.#ended;
  }

  /** Drops every connection. */
  terminate(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const canSharePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

/** node:https with certificates by name, all of which can be changed while it runs: handshakes that begin then see the new ones. */
class TlsServer {
  readonly server: HttpServer;
  readonly #https;
  #names: ReadonlyMap<string, SecureContext>;
  /** Sockets whose handshake has not ended, by the ends of their connection: the TLS socket over one shows the same. */
  readonly #expected = new Map<string, Socket>();

  constructor(tls: TlsMaterial) {
    this.#names = namesOf(tls);
    this.#https = createTlsServer({
      ...http,
      ...contextOf(tls, tls),
      requestCert: tls.ca !== undefined,
      rejectUnauthorized: tls.ca !== undefined,
      handshakeTimeout: HEAD_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
      SNICallback: (name, done) => done(null, matchServerName(name, this.#names)),
    });
    this.#https.on('secureConnection', (inner: TLSSocket) => {
      const outer = this.#expected.get(endsOf(inner));
      if (outer) inherit(outer, inner);
    });
    this.server = this.#https;
  }

  expect(socket: Socket): void {
    const ends = endsOf(socket);
    this.#expected.set(ends, socket);
    socket.once('close', () => this.#expected.delete(ends));
  }

  renew(tls: TlsMaterial): void {
    this.#https.setSecureContext(contextOf(tls, tls));
    this.#names = namesOf(tls);
  }
}

function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function contextOf({ cert, key, passphrase }: Credential, { minVersion, ca }: TlsMaterial) {
  return {
    cert,
    key,
    minVersion,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca }),
  };
}

function namesOf(tls: TlsMaterial): ReadonlyMap<string, SecureContext> {
  return new Map(
    tls.sni.map((one) => [one.serverName, createSecureContext(contextOf(one, tls))] as const),
  );
}
