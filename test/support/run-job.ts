import { compress, inflate, type JobName, parse } from '../../src/worker/jobs.ts';

const jobs = { parse, compress, inflate };

/** A job of the worker's pool, on this thread. */
export async function runJob(name: JobName, argument: unknown): Promise<unknown> {
  return jobs[name](argument as never);
}
