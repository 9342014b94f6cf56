/** Facts as log lines: what an operator reads, with the fields a machine filters by. */
import type { Fact } from '../threads/facts.ts';
import { accessLine, sessionName } from './access-line.ts';
import type { LineBound } from './line-bound.ts';
import type { Log } from './log.ts';

/** Kinds of lines that clients or upstreams can cause as often as they like. */
const bounded: ReadonlySet<Fact['fact']> = new Set<Fact['fact']>([
  'handshake-refused',
  'attempt-failed',
  'fault',
]);

/** `streams`: write a line for every finished stream. */
export function logFact(log: Log, fact: Fact, streams: boolean, bound: LineBound): void {
  if (bounded.has(fact.fact) && !bound.admits(fact.fact)) return;
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
        ? log.warn(
            fields,
            `upstream ${fact.upstream} is left alone for ${fact.model}: ${failedHow(fact.successShare)}`,
          )
        : log.info(fields, `upstream ${fact.upstream} answers ${fact.model} again`);
    case 'upstream-drain':
      return log.info(
        fields,
        `upstream ${fact.upstream} is ${fact.drained ? 'drained' : 'back in service'}`,
      );
    case 'upstream-weight':
      return log.info(
        fields,
        `upstream ${fact.upstream} has the weight ${fact.weight}${fact.byHand ? ' by hand' : ' as configured'}`,
      );
    case 'upstream-key-refused':
      return log.warn(
        fields,
        `upstream ${fact.upstream} refused its key ${fact.key} with ${fact.status}: it rests for five minutes`,
      );
    case 'attempt-failed':
      return log.warn(fields, `an attempt at upstream ${fact.upstream} failed`);
    case 'stream-ended':
      return streams ? log.info(accessLine(fact), `stream ${fact.outcome}`) : undefined;
    case 'stream-lost':
      return log.warn({ ...fields, session: sessionName(fact) }, 'stream lost with its worker');
    case 'session-ended':
      return log.debug({ ...fields, session: sessionName(fact) }, `session ended by ${fact.by}`);
    case 'proxy-ended': {
      const said = { ...fields, session: sessionName(fact) };
      return streams ? log.info(said, 'proxied session ended') : undefined;
    }
    case 'handshake-refused':
      return log.info(fields, `handshake refused: ${fact.code}`);
    case 'fault':
      return log.error(fields, `fault while ${fact.where}: ${fact.text}`);
  }
}

const failedHow = (successShare: number | undefined) =>
  successShare === undefined
    ? 'it failed'
    : `only ${Math.round(100 * successShare)} % of its answers were good`;
