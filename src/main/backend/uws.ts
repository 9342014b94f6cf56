/**
 * The contract over uWebSockets.js, from core 20.43 (package 20.30) on.
 *
 *   the core's event ──▶ one guarded call of our handler ──▶ a throw: fault, close 1011 (or answer 500)
 *
 * What the core does not say, this file makes up for: it closes without a close frame when a peer breaks the protocol, calls the close handler
 * inside `end`, invalidates a socket after close and takes handshakes that it should not.
 */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:http';
import { MillraceError } from '../../errors.ts';
import type { Backend, BackendHandlers, Listening, ListenOptions } from './backend.ts';
import { UwsConnection } from './uws-connection.ts';
import { uwsRequests } from './uws-http.ts';
import type { UwsApp, UwsModule } from './uws-module.ts';

/** The core drops the socket of a longer message without a word; a message up to this much too long is closed with 1009 instead. */
const OVERSIZE_BYTES = 64 * 1024;

export function createUwsBackend(module: UwsModule, version: string): Backend {
  return { name: 'uws', version, listen: (options, handlers) => listen(module, options, handlers) };
}

async function listen(
  module: UwsModule,
  options: ListenOptions,
  handlers: BackendHandlers,
): Promise<Listening> {
  const address = await resolveHost(options);
  const app = module.App();
  serve(app, module, options, handlers);
  const token = await bind(app, module, address, options);
  return listening(app, module, token, address);
}

function serve(
  app: UwsApp,
  module: UwsModule,
  options: ListenOptions,
  handlers: BackendHandlers,
): void {
  // The cores before 20.47 lose the payload of a frame of 16 KiB and more when the kernel takes only its header (uWebSockets PR 1662); they
  // skip that path when asked to compress, also where no compression was negotiated.
  const oldCore = app.filter === undefined;
  const requests = uwsRequests(options, oldCore, handlers);
  app.ws('/*', {
    compression: module.DISABLED,
    maxPayloadLength: options.messageBytesMax + OVERSIZE_BYTES,
    maxBackpressure: 0, // no limit: credit bounds it, and a limit here would drop frames
    closeOnBackpressureLimit: false,
    idleTimeout: 0, // the wheel pings and closes; 4 s after `end` stays
    sendPingsAutomatically: false,
    upgrade: requests.upgrade,
    open(socket) {
      const connection = new UwsConnection(socket, handlers, oldCore);
      connection.opened();
    },
    message(socket, message, binary) {
      const connection = UwsConnection.of(socket);
      if (message.byteLength > options.messageBytesMax)
        connection.close(1009, 'the message is too large');
      else connection.received(new Uint8Array(message), binary);
    },
    drain: (socket) => UwsConnection.of(socket).drained(),
    ping: (socket) => UwsConnection.of(socket).pinged(),
    pong: (socket) => UwsConnection.of(socket).alive(),
    close: (socket, code, message) => UwsConnection.of(socket).gone(code, message),
  });
  app.any('/*', requests.http);
}

async function resolveHost(options: ListenOptions): Promise<string> {
  try {
    return (await lookup(options.host)).address;
  } catch (error) {
    throw failed(options, error);
  }
}

/** The core reports no reason, so a second attempt through node:http asks for it. */
async function bind(
  app: UwsApp,
  module: UwsModule,
  address: string,
  options: ListenOptions,
): Promise<object> {
  const flags = options.reusePort ? 0 : module.LIBUS_LISTEN_EXCLUSIVE_PORT;
  const token = await new Promise<object | false>((resolve) => {
    app.listen(address, options.port, flags, resolve);
  });
  if (token) return token;
  const error = await reasonOf(address, options.port);
  app.close();
  throw failed(options, error);
}

function reasonOf(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () =>
      probe.close(() => resolve(new Error('the address could not be bound'))),
    );
  });
}

function failed({ host, port }: ListenOptions, error: unknown): MillraceError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EADDRINUSE')
    return new MillraceError('MILLRACE_PORT_TAKEN', { host, port }, { cause: error });
  const reason = code || (error instanceof Error ? error.message : String(error));
  return new MillraceError('MILLRACE_LISTEN_FAILED', { host, port, reason }, { cause: error });
}

function listening(app: UwsApp, module: UwsModule, token: object, host: string): Listening {
  let accepting = true;
  let closed: Promise<void> | undefined;
  const unlisten = () => {
    if (!accepting) return;
    accepting = false;
    module.us_listen_socket_close(token);
  };
  return {
    host,
    port: module.us_socket_local_port(token),
    unlisten,
    close() {
      closed ??= (async () => {
        unlisten();
        await turn(); // never inside one of the core's own callbacks
        app.close();
        await turn(); // the core frees closed sockets at the end of a turn
      })();
      return closed;
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
