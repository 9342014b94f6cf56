/** What the engine says about itself: readiness with its reason, and the state an operator asks for first. */
import { readFileSync } from 'node:fs';
import type { UpstreamTable } from '../memory/contract.ts';
import { CIRCUITS_PER_UPSTREAM, UpstreamWord } from '../memory/layout.ts';
import { Circuit, circuitState } from '../policy/circuit.ts';
import { Health } from '../policy/health.ts';
import type { Configured } from './configured.ts';
import type { Coordination } from './coordination.ts';
import type { Crew } from './crew.ts';
import type { Overload } from './overload.ts';
import type { Requests } from './requests.ts';
import type { Server } from './server.ts';
import type { Sessions } from './session.ts';

export interface Watched {
  readonly configured: Configured;
  readonly table: UpstreamTable;
  readonly crew: Crew;
  readonly coordination: Coordination;
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly server: Server;
  readonly overload: Overload;
}

const healthWords = ['unhealthy', 'healthy', 'not yet probed'] as const;
const circuitWords = ['closed', 'open', 'half-open'] as const;

export interface Readiness {
  readonly ready: boolean;
  /** One phrase: `serving`, or why not. */
  readonly reason: string;
}

export type Status = ReturnType<typeof status>;

/** Whether new streams can be served, and if not, why. */
export function readiness(watched: Watched): Readiness {
  const { server, crew, configured } = watched;
  const no = (reason: string) => ({ ready: false, reason });
  if (server.draining) return no('draining: millrace shuts down');
  if (!server.listening) return no('starting');
  const { bound } = watched.overload;
  if (bound !== undefined) return no(`overloaded: at its ${bound} bound`);
  if (crew.serving === 0) return no('no worker thread serves');
  if (configured.now.options.upstreams.length === 0) return no('no upstream is configured');
  const usable = upstreams(watched).some((each) => each.health !== 'unhealthy' && !each.drained);
  return usable ? { ready: true, reason: 'serving' } : no('no upstream is healthy');
}

export function status(watched: Watched) {
  const { sessions, requests, crew, coordination, configured } = watched;
  const { epoch, options } = configured.now;
  return {
    version,
    ...readiness(watched),
    epoch,
    uptimeS: Math.round(process.uptime()),
    sessions: { open: sessions.count, max: options.server.sessionsMax },
    requests: { open: requests.count, retainedBytes: requests.retainedBytes },
    coordinator: { serving: coordination.serving },
    workers: crew.status(),
    upstreams: upstreams(watched),
    leaving: leaving(watched),
  };
}

function upstreams({ configured, table }: Watched) {
  const { options, seats } = configured.now;
  return options.upstreams.map(({ name, url, models, weight, maxConnections }, at) => {
    const { row, since } = seats[at];
    // Until the coordinator has written the row, what stands there was somebody else's.
    const written = table.get(row, UpstreamWord.epoch) === since;
    const word = (each: number, otherwise: number) => (written ? table.get(row, each) : otherwise);
    return {
      name,
      url,
      models,
      health: healthWords[word(UpstreamWord.health, Health.unknown)],
      circuits: written ? circuitsOf(table, row, models) : {},
      drained: word(UpstreamWord.drained, 0) === 1,
      weight: word(UpstreamWord.weight, weight),
      capacity: word(UpstreamWord.capacity, maxConnections),
      inFlight: table.inFlight(row),
    };
  });
}

/** Upstreams that are no longer configured, as long as streams run there. */
function leaving({ configured, table }: Watched) {
  const left = configured.left().map(({ row, name }) => ({ name, inFlight: table.inFlight(row) }));
  return left.filter(({ inFlight }) => inFlight > 0);
}

const version = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

/** Those that are not closed, by model; a model no configuration names is shown by its circuit's number. */
function circuitsOf(table: UpstreamTable, upstream: number, models: readonly string[]) {
  const states: Record<string, string> = {};
  for (let cell = 0; cell < CIRCUITS_PER_UPSTREAM; cell++) {
    const state = circuitState(table.circuit(upstream, cell));
    if (state !== Circuit.closed) states[models[cell] ?? `#${cell}`] = circuitWords[state];
  }
  return states;
}
