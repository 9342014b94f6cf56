/**
 * Echo over `ws`, as one writes it; with {"cork":true} as one tunes it: all answers to one read leave in one write.
 */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { ready, settings } from './serve.ts';

const { cork = false } = settings() as { cork?: boolean };
const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (client, request) => {
  const socket: Socket = request.socket;
  let corked = false;
  client.on('error', () => {});
  client.on('message', (data, binary) => {
    if (cork && !corked) {
      corked = true;
      socket.cork();
      process.nextTick(() => {
        corked = false;
        socket.uncork();
      });
    }
    client.send(data as Buffer, { binary });
  });
});
http.listen(0, '127.0.0.1', () => ready((http.address() as AddressInfo).port));
