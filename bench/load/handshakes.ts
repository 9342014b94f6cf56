/**
 * Handshakes: what one costs the whole server, against raw uWebSockets.js and `ws`; and how long 10,000 sessions take that come back at once, as after a
 * restart. The engine's are authenticated by key and checked for Host and Origin.
 */
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { type Server, startLoad } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { interleave } from '../support/rounds.ts';
import { spent, threadTimes } from '../support/schedstat.ts';
import { ratios } from '../support/statistics.ts';
import { startAll, type Variant } from '../support/variant.ts';

const KEY = 'bench-key-0123456789';
const RAW = 'raw uWebSockets.js';
const WS = 'ws';
const SESSIONS = 10_000;
const SESSIONS_QUICK = 1_000;

interface Opened {
  /** CPU of all threads, microseconds each. */
  readonly us: number;
  /** Until all are open, seconds. */
  readonly seconds: number;
}

async function open(server: Server, path: string, sessions: number, pin: boolean): Promise<Opened> {
  const { pid } = server.child;
  const before = threadTimes(pid);
  const began = performance.now();
  const header = `Authorization: Bearer ${KEY}`;
  const load = startLoad('idle', { port: server.port, path, conns: sessions, header }, pin);
  await load.answer();
  const seconds = (performance.now() - began) / 1000;
  const { all } = spent(pid, before, threadTimes(pid));
  await load.end();
  return { us: all / 1000 / sessions, seconds };
}

async function run(settings: Settings): Promise<Outcome> {
  const sessions = settings.quick ? SESSIONS_QUICK : SESSIONS;
  const variants: Variant[] = [
    ...millraceVariants(settings, '/v1/responses', {
      keys: [KEY],
      server: { sessionsMax: 2 * SESSIONS },
    }),
    { name: RAW, peer: 'echo-uws', settings: {} },
    { name: WS, peer: 'echo-ws', settings: {} },
  ];
  const servers = await startAll(variants, settings.pin);
  try {
    const measure = (server: Server, round: number): Promise<Opened> => {
      const path = variants.find(({ name }) => name === server.name)?.path ?? '/ws';
      return open(server, path, sessions, settings.pin).then((opened) => {
        const figures = `${opened.us.toFixed(1)} µs CPU each, all in ${opened.seconds.toFixed(2)} s`;
        settings.progress(`round ${round + 1} ${server.name}: ${figures}`);
        return opened;
      });
    };
    // Just-in-time compilation is not what is measured.
    await interleave(servers, 1, measure);
    return outcomeOf(await interleave(servers, settings.rounds, measure), sessions);
  } finally {
    await Promise.all(servers.map(({ child }) => child.end()));
  }
}

function outcomeOf(all: ReadonlyMap<string, Opened[]>, sessions: number): Outcome {
  const cost = (name: string): number[] => (all.get(name) ?? []).map(({ us }) => us);
  const time = (name: string): number[] => (all.get(name) ?? []).map(({ seconds }) => seconds);
  const names = [...all.keys()];
  const common = { sense: 'at most' } as const;
  return {
    readings: names.flatMap((name) => [
      { what: `${name}: CPU per handshake`, unit: 'µs', values: cost(name) },
      { what: `${name}: until ${sessions} are open`, unit: 's', values: time(name) },
    ]),
    goals: names
      .filter((name) => name.includes('(uws)'))
      .flatMap((name) => [
        {
          what: `handshake: CPU, ${name} / ${RAW}`,
          ...common,
          limit: 1.2,
          unit: 'x',
          values: ratios(cost(name), cost(RAW)),
        },
        {
          what: `${sessions} sessions open again, ${name}`,
          ...common,
          limit: 3,
          unit: 's',
          values: time(name),
        },
      ]),
    notes: [
      'handshakes come 64 at a time from one client; the engine checks Host, Origin, rate and key and opens a session with shared cells',
    ],
  };
}

export const handshakes: Bench = { name: 'handshakes', title: 'Handshakes', run };
