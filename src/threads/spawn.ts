/**
 * Starts the threads that are no pool's: the coordinator and the simulated upstreams. Whoever spawns one gets its channel and a
 * promise that says when and why it is gone; a thread that dies never takes the process with it.
 */
import { Worker } from 'node:worker_threads';
import type { WireError } from '../errors.ts';
import { threadFlags } from './flags.ts';
import type { CoordinatorStart, FromCoordinator, ToCoordinator } from './messages.ts';
import { type Channel, workerChannel } from './port.ts';

/** Start message of the simulated upstreams' thread. */
export interface SimulateStart {
  readonly servers: readonly SimulatedServerStart[];
}
export interface SimulatedServerStart {
  readonly name: string;
  readonly seed: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
}
export type FromSimulate =
  /** Base URLs in the order of the servers, up to and including /v1. */
  | { readonly type: 'ready'; readonly urls: readonly string[] }
  | { readonly type: 'failed'; readonly error: WireError };
export type ToSimulate = { readonly type: 'stop' };

export interface Spawned<In, Out> {
  readonly channel: Channel<In, Out>;
  /** Settles with a sentence when the thread has ended, for whatever reason. Never rejects. */
  readonly gone: Promise<string>;
  /** Ends it now. Only for threads that are never inside a synchronous codec. */
  end(): Promise<void>;
}

export function spawnCoordinator(start: CoordinatorStart): Spawned<FromCoordinator, ToCoordinator> {
  return spawn('../coordinator/entry.js', 'millrace coordinator', start);
}

export function spawnSimulated(start: SimulateStart): Spawned<FromSimulate, ToSimulate> {
  return spawn('../simulate/entry.js', 'millrace simulate', start);
}

function spawn<In, Out>(entry: string, name: string, start: unknown): Spawned<In, Out> {
  const worker = new Worker(new URL(entry, import.meta.url), {
    workerData: start,
    name,
    ...threadFlags(),
  });
  const gone = new Promise<string>((resolve) => {
    worker.once('error', (error) =>
      resolve(error instanceof Error ? error.message : String(error)),
    );
    worker.once('exit', (code) => resolve(`exited with code ${code}`));
  });
  return {
    channel: workerChannel<In, Out>(worker),
    gone,
    async end() {
      await worker.terminate();
    },
  };
}
