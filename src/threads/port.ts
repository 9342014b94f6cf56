/**
 * Typed ends of the message channels between threads: the only place that posts. Messages are the closed unions of
 * messages.ts; errors in them are in wire form. The bell of a ring is a message too: it keeps the loop alive, unlike Atomics.waitAsync.
 */
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  threadId,
  type Worker,
  workerData,
} from 'node:worker_threads';
import type { Bell } from '../memory/contract.ts';
import { must } from '../must.ts';

/** The thread's number in the process, for log lines and for finding it among the pool's threads. */
export const threadNumber = threadId;

export interface Channel<In, Out> {
  post(message: Out): void;
  /** One handler, set once. Messages that came earlier wait. */
  listen(handler: (message: In) => void): void;
  /** Rings the other side: `{ type: 'bell' }`. */
  readonly bell: Bell;
  /** The channel no longer keeps this thread alive. */
  unref(): void;
  close(): void;
}

export interface PortChannel<In, Out> extends Channel<In, Out> {
  /** Hands over what has come already: for the last words of a thread whose end was noticed another way. */
  flush(): void;
}

type Post = { postMessage(message: unknown): void };
const BELL = { type: 'bell' } as const;

export function channel<In, Out>(port: MessagePort): PortChannel<In, Out> {
  let handle: (message: In) => void = () => {};
  return {
    post: (message) => port.postMessage(message),
    listen(handler) {
      handle = handler;
      port.on('message', handler);
    },
    flush() {
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        handle(next.message as In);
      }
    },
    bell: bellOver(port),
    unref: () => port.unref(),
    close: () => port.close(),
  };
}

/** main's end towards a thread of its own (coordinator, simulated upstream). */
export function workerChannel<In, Out>(worker: Worker): Channel<In, Out> {
  return {
    post: (message) => worker.postMessage(message),
    listen: (handler) => void worker.on('message', handler),
    bell: bellOver(worker),
    unref: () => worker.unref(),
    close: () => {},
  };
}

/** A thread's end towards main, with what it was started with. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the spawner decides what it is; the entry says so here
export function parentChannel<Start, In, Out>(): Channel<In, Out> & { readonly start: Start } {
  must(parentPort, 'this file is the entry of a thread');
  const ends = channel<In, Out>(parentPort);
  return { ...ends, start: workerData as Start };
}

function bellOver(port: Post): Bell {
  return { ring: () => port.postMessage(BELL) };
}
