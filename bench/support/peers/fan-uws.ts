/** Fan-out, floor: the wheel on the main thread, raw uWebSockets.js. */
import { ready } from './serve.ts';
import { listenUws, loadUws, type UwsSocket } from './uws.ts';
import { STREAMS_MAX, TOKENS_PER_SECOND, TokenWheel } from './wheel.ts';

const sockets: (UwsSocket | undefined)[] = [];
const wheel = new TokenWheel(STREAMS_MAX, TOKENS_PER_SECOND, (stream, frame) => {
  sockets[stream]?.send(frame, false, false);
  return true;
});
const uws = loadUws();
const app = uws.App().ws('/*', {
  idleTimeout: 0,
  sendPingsAutomatically: false,
  maxBackpressure: 2 ** 26,
  open(socket) {
    const empty = sockets.indexOf(undefined);
    const slot = empty < 0 ? sockets.length : empty;
    sockets[slot] = socket;
    socket.getUserData()['slot'] = slot;
    wheel.start(slot);
  },
  close(socket) {
    const slot = socket.getUserData()['slot'] as number;
    sockets[slot] = undefined;
    wheel.stop(slot);
  },
});
wheel.run();
ready(await listenUws(uws, app));
