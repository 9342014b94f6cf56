/**
 * The contract over uWebSockets.js, from core 20.43 (package 20.30) on.
 *
 *   the core's event ──▶ one guarded call of our handler ──▶ a throw: fault, close 1011 (or answer 500)
 *
 * What the core does not say, this file makes up for: it closes without a close frame when a peer breaks the protocol, calls the close handler
 * inside `end`, invalidates a socket after close and takes handshakes that it should not.
 */
import type {
  Backend,
  BackendHandlers,
  DeflateTerms,
  Listening,
  ListenOptions,
} from './backend.ts';
import { UwsConnection } from './uws-connection.ts';
import { uwsRequests } from './uws-http.ts';
import type { UwsApp, UwsModule } from './uws-module.ts';
import { UwsServer } from './uws-server.ts';

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
  const server = new UwsServer(module, options, (app) => serve(app, module, options, handlers));
  await server.listen();
  return server;
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
  const deflateFrom = options.deflate?.minBytes ?? Number.POSITIVE_INFINITY;
  app.ws('/*', {
    compression: compressionOf(module, options.deflate),
    maxPayloadLength: options.messageBytesMax + OVERSIZE_BYTES,
    maxBackpressure: 0, // no limit: credit bounds it, and a limit here would drop frames
    closeOnBackpressureLimit: false,
    idleTimeout: 0, // the wheel pings and closes; 4 s after `end` stays
    sendPingsAutomatically: false,
    upgrade: requests.upgrade,
    open(socket) {
      const connection = new UwsConnection(socket, handlers, oldCore, deflateFrom);
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

function compressionOf(module: UwsModule, deflate: DeflateTerms | undefined): number {
  if (!deflate) return module.DISABLED;
  const compressors = {
    shared: module.SHARED_COMPRESSOR,
    '1KiB': module.DEDICATED_COMPRESSOR_8KB,
    '2KiB': module.DEDICATED_COMPRESSOR_16KB,
    '4KiB': module.DEDICATED_COMPRESSOR_32KB,
  };
  return compressors[deflate.window] | module.SHARED_DECOMPRESSOR;
}
