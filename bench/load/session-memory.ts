/**
 * Idle sessions: how much a server grows by each, resident, garbage collected. The engine's sessions are authenticated by key,
 * on the Responses path; its share of the shared cells is in the figure, because their pages are touched by opening.
 */
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { type Server, startLoad } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { interleave } from '../support/rounds.ts';
import { ratios } from '../support/statistics.ts';
import { startAll, type Variant } from '../support/variant.ts';

const KEY = 'bench-key-0123456789';
const RAW = 'raw uWebSockets.js';
const WS = 'ws';
/** Sessions opened and closed once before, so that pools, compiled code and tables are there already. */
const WARM_UP = 200;

async function resident(server: Server): Promise<number> {
  const { residentBytes } = await server.child.ask<{ residentBytes: number }>('memory');
  return residentBytes;
}

/** Bytes per session: opened in one go, held, measured, left. */
async function measure(server: Server, variant: Variant, sessions: number): Promise<number> {
  const before = await resident(server);
  const load = startLoad(
    'idle',
    {
      port: server.port,
      path: variant.path ?? '/ws',
      conns: sessions,
      header: `Authorization: Bearer ${KEY}`,
    },
    false,
  );
  await load.answer();
  const after = await resident(server);
  await load.end();
  return (after - before) / sessions;
}

async function run(settings: Settings): Promise<Outcome> {
  const sessions = settings.quick ? 2_000 : 10_000;
  const variants: Variant[] = [
    ...millraceVariants(settings, '/v1/responses', {
      keys: [KEY],
      server: { sessionsMax: sessions + WARM_UP },
    }),
    { name: RAW, peer: 'echo-uws', settings: {} },
    { name: WS, peer: 'echo-ws', settings: {} },
  ];
  const bytes = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  // A fresh process for every round: memory once grown is not given back and would hide the next round.
  await interleave(variants, Math.min(settings.rounds, 5), async (variant, round) => {
    const [server] = await startAll([variant], false);
    try {
      await measure(server, variant, WARM_UP);
      const each = await measure(server, variant, sessions);
      bytes.get(variant.name)?.push(each);
      settings.progress(
        `round ${round + 1} ${variant.name}: ${Math.round(each)} bytes per session`,
      );
    } finally {
      await server.child.end();
    }
  });
  const of = (name: string) => bytes.get(name) ?? [];
  const ours = variants.filter(({ name }) => name.includes('(uws)'));
  return {
    readings: variants.map(({ name }) => ({
      what: `${name}: resident bytes per idle session`,
      unit: 'B',
      values: of(name),
    })),
    goals: ours.flatMap(({ name }) => [
      {
        what: `memory: resident per idle session, ${name}`,
        sense: 'at most' as const,
        limit: 1.2,
        unit: 'KB',
        values: of(name).map((value) => value / 1000),
      },
      {
        what: `memory: resident per idle session, ${name} / ws`,
        sense: 'at most' as const,
        limit: 0.25,
        unit: 'x',
        values: ratios(of(name), of(WS)),
      },
    ]),
    notes: [`${sessions} sessions; memory of the kernel's sockets is not counted`],
  };
}

export const sessionMemory: Bench = { name: 'memory', title: 'Memory of an idle session', run };
