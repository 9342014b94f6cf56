/** Fan-out over `ws`: the wheel on the main thread. */
import { type WebSocket, WebSocketServer } from 'ws';
import { ready } from './serve.ts';
import { STREAMS_MAX, TOKENS_PER_SECOND, TokenWheel } from './wheel.ts';

const sockets: (WebSocket | undefined)[] = [];
const text = { binary: false };
const wheel = new TokenWheel(STREAMS_MAX, TOKENS_PER_SECOND, (stream, frame) => {
  // A copy: `ws` keeps what the kernel does not take at once, and the frame is patched again.
  sockets[stream]?.send(Buffer.from(frame), text);
  return true;
});
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (client) => {
  const empty = sockets.indexOf(undefined);
  const slot = empty < 0 ? sockets.length : empty;
  sockets[slot] = client;
  client.on('error', () => {});
  client.on('close', () => {
    sockets[slot] = undefined;
    wheel.stop(slot);
  });
  wheel.start(slot);
});
server.on('listening', () => {
  const address = server.address();
  wheel.run();
  ready(typeof address === 'object' && address ? address.port : 0);
});
