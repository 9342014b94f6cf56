/**
 * The jobs pool: one-shot work that would stall a relay. A second piscina pool, started with its first job, with threads
 * that leave when they have had nothing to do for a while. Jobs are never aborted: a thread inside a codec may not be ended.
 */
import { Piscina } from 'piscina';
import { threadFlags } from './flags.ts';

const IDLE_TIMEOUT_MS = 5_000;
const NICE = 10;

export interface JobsOptions {
  readonly threadsMax: number;
  /** Module whose named exports are the jobs. */
  readonly entry: URL;
}

export interface Jobs {
  /** Runs the exported function on a copy of the argument. */
  run(name: string, argument: unknown): Promise<unknown>;
  /** Waits for running jobs, then ends the threads. */
  close(): Promise<void>;
}

export function createJobs({ threadsMax, entry }: JobsOptions): Jobs {
  let pool: Piscina | undefined;
  const running = new Set<Promise<unknown>>();
  return {
    run(name, argument) {
      pool ??= new Piscina({
        filename: entry.href,
        minThreads: 0,
        maxThreads: threadsMax,
        idleTimeout: IDLE_TIMEOUT_MS,
        recordTiming: false,
        // Main and the workers come first: what is done here can wait. Elsewhere it would be the whole process.
        niceIncrement: process.platform === 'linux' ? NICE : 0,
        ...threadFlags(),
      });
      const job: Promise<unknown> = pool.run(argument, { name });
      running.add(job);
      const forget = () => void running.delete(job);
      job.then(forget, forget);
      return job;
    },
    async close() {
      await Promise.allSettled(running);
      await pool?.close();
      pool = undefined;
    },
  };
}
