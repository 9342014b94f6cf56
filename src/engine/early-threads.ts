/** The threads that have much to load themselves: begun before main loads its own half, so that both use the time. */
import type { Options } from '../options/schema.ts';
import { workerCount } from '../threads/worker-count.ts';
import { RelayThreads } from '../threads/worker-pool.ts';
import { Demo } from './demo.ts';

export class EarlyThreads {
  readonly workers: number;
  /** Why so many. */
  readonly whyWorkers: string;
  readonly relays: RelayThreads;
  readonly demo: Demo | undefined;

  constructor(options: Options) {
    const { workers, why } = workerCount(options.threads.workers);
    this.workers = workers;
    this.whyWorkers = why;
    this.relays = new RelayThreads(workers);
    this.demo = options.demo.enabled ? new Demo(options.demo) : undefined;
  }

  /** Call after every resident is gone. */
  async stop(): Promise<void> {
    await this.relays.close();
    await this.demo?.end();
  }
}
