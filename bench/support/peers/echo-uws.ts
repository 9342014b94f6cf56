/** The floor in JavaScript: uWebSockets.js answers every message with itself, and does nothing else. */
import { ready } from './serve.ts';
import { listenUws, loadUws } from './uws.ts';

const uws = loadUws();
const app = uws.App().ws('/*', {
  maxPayloadLength: 16 * 1024 * 1024,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  message: (socket, message, binary) => void socket.send(message, binary, false),
});
ready(await listenUws(uws, app));
