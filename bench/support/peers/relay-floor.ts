/**
 * The floor: the fewest instructions we know for this relay with the same threads. uWebSockets.js on main; in one worker a raw
 * socket per upstream read into one buffer (no HTTP client), a byte search, finished frames through a minimal ring, one bell
 * per batch. No sessions, limits, timeouts, failover, back-pressure or history, and only the wire forms of our own upstream:
 * it bounds what is possible and must never be used.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../../src/must.ts';
import { MiniReader, miniRing } from './mini-ring.ts';
import { ready, settings } from './serve.ts';
import { listenUws, loadUws, type UwsSocket } from './uws.ts';

const { upstream } = settings() as { upstream: string };
const ring = miniRing(2 ** 26);
const worker = new Worker(new URL('./relay-floor-worker.js', import.meta.url), {
  workerData: { upstream, ring },
});
const reader = new MiniReader(ring);
const sockets: (UwsSocket | undefined)[] = [];

worker.on('message', () => {
  reader.drain((slot, bytes) => void sockets[slot]?.send(bytes, false, false));
});

const uws = loadUws();
const app = uws.App().ws('/*', {
  idleTimeout: 0,
  sendPingsAutomatically: false,
  maxBackpressure: 2 ** 26,
  open(socket) {
    const slot = sockets.push(socket) - 1;
    socket.getUserData()['slot'] = slot;
  },
  message(socket, message) {
    const ask = JSON.parse(Buffer.from(message).toString()) as { model: string; input: string };
    worker.postMessage({ slot: socket.getUserData()['slot'], ask });
  },
  close(socket) {
    const slot = socket.getUserData()['slot'];
    must(typeof slot === 'number', 'every socket has a slot');
    sockets[slot] = undefined;
    worker.postMessage({ slot });
    // The slot is not used again: late frames of the old socket must not reach a new one.
  },
});
ready(await listenUws(uws, app));
