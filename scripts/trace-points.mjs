// @ts-check
/**
 * Preloaded by trace.mjs into every thread of the engine (`node --import`): subscribes to all channels and sends what it hears to
 * main, with the time of the clock that all threads share.
 */
import { subscribe } from 'node:diagnostics_channel';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const names = ['accept', 'admit', 'route', 'stream', 'chunk', 'compress', 'deliver'];
const ends = ['stream:end', 'session:end'];
const out = new BroadcastChannel('millrace-trace');
out.unref();
/** @type {object[]} */
let heard = [];

for (const stage of [...names, ...ends]) {
  subscribe(`millrace:${stage}`, (point) => {
    const thread = isMainThread ? 'main' : 'worker';
    // Sent later: sending costs more than what is measured.
    if (heard.length === 0) setTimeout(send, 20).unref();
    heard.push({ atNs: process.hrtime.bigint(), thread, stage, .../** @type {object} */ (point) });
  });
}

function send() {
  out.postMessage(heard);
  heard = [];
}
