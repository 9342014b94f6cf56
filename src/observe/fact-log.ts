/** Facts as log lines: what an operator reads, with the fields a machine filters by. */
import type { Fact } from '../threads/facts.ts';
import type { Log } from './log.ts';

/** `streams`: write a line for every finished stream. */
export function logFact(log: Log, fact: Fact, streams: boolean): void {
  const { fact: event, ...rest } = fact;
  const fields = { event, ...rest };
  switch (fact.fact) {
    case 'worker-ready':
      return log.debug(fields, `worker ${fact.worker} serves`);
    case 'worker-lost':
      return log.error(
        fields,
        `worker ${fact.worker} was lost (${fact.reason}): ${fact.rerun} requests run again, ${fact.failed} ended in a failure`,
      );
    case 'coordinator-ready':
      return log.debug(fields, 'the coordinator serves');
    case 'coordinator-lost':
      return log.error(fields, `the coordinator was lost (${fact.reason}); streams go on`);
    case 'upstream-health':
      return fact.healthy
        ? log.info(fields, `upstream ${fact.upstream} is healthy`)
        : log.warn(fields, `upstream ${fact.upstream} is taken out: ${fact.reason}`);
    case 'upstream-circuit':
      return fact.change === 'opened'
        ? log.warn(fields, `upstream ${fact.upstream} is left alone for ${fact.model}: it failed`)
        : log.info(fields, `upstream ${fact.upstream} answers ${fact.model} again`);
    case 'upstream-drain':
      return log.info(
        fields,
        `upstream ${fact.upstream} is ${fact.drained ? 'drained' : 'back in service'}`,
      );
    case 'attempt-failed':
      return log.warn(fields, `an attempt at upstream ${fact.upstream} failed`);
    case 'stream-ended':
      return streams ? log.info(fields, `stream ${fact.outcome}`) : undefined;
    case 'fault':
      return log.error(fields, `fault while ${fact.where}: ${fact.text}`);
  }
}
