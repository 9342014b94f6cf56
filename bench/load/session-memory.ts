/**
 * Idle sessions: how much a server grows by each, resident, garbage collected. The engine's sessions are authenticated by key,
 * on the Responses path; its share of the shared cells is in the figure, because their pages are touched by opening.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { type Server, startLoad } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { interleave } from '../support/rounds.ts';
import { ratios } from '../support/statistics.ts';
import { startAll, type Variant } from '../support/variant.ts';

const KEY = 'bench-key-0123456789';
const RAW = 'raw uWebSockets.js';
const WS = 'ws';
/** Sessions that come and go in waves before the first reading: pools, compiled code and tables are there then. */
const WAVES = 4;
const WAVE = 500;

interface Memory {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** Bytes per session: opened in one go, held, measured, left. */
async function measure(server: Server, variant: Variant, sessions: number): Promise<Memory> {
  // The server must have seen the last wave leave.
  await pause(200);
  const before = await server.child.ask<Memory>('memory');
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
  const after = await server.child.ask<Memory>('memory');
  await load.end();
  return {
    residentBytes: (after.residentBytes - before.residentBytes) / sessions,
    heapBytes: (after.heapBytes - before.heapBytes) / sessions,
  };
}

async function run(settings: Settings): Promise<Outcome> {
  const sessions = settings.quick ? 2_000 : 10_000;
  const variants: Variant[] = [
    ...millraceVariants(settings, '/v1/responses', {
      keys: [KEY],
      server: { sessionsMax: sessions + WAVE },
    }),
    { name: RAW, peer: 'echo-uws', settings: {} },
    { name: WS, peer: 'echo-ws', settings: {} },
  ];
  const resident = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  const heap = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  // A fresh process for every round: memory once grown is not given back and would hide the next round.
  await interleave(variants, Math.min(settings.rounds, 5), async (variant, round) => {
    const [server] = await startAll([variant], false);
    try {
      for (let wave = 0; wave < WAVES; wave++) await measure(server, variant, WAVE);
      const { residentBytes, heapBytes } = await measure(server, variant, sessions);
      resident.get(variant.name)?.push(residentBytes);
      heap.get(variant.name)?.push(heapBytes);
      const [all, own] = [Math.round(residentBytes), Math.round(heapBytes)];
      settings.progress(
        `round ${round + 1} ${variant.name}: ${all} bytes per session, ${own} of them heap`,
      );
    } finally {
      await server.child.end();
    }
  });
  const of = (name: string) => resident.get(name) ?? [];
  const ours = variants.filter(({ name }) => name.includes('(uws)'));
  return {
    readings: variants.flatMap(({ name }) => [
      { what: `${name}: resident bytes per idle session`, unit: 'B', values: of(name) },
      {
        what: `${name}: of them JavaScript heap`,
        unit: 'B',
        values: heap.get(name) ?? [],
      },
    ]),
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
    notes: [
      `${sessions} sessions that come at once; memory of the kernel's sockets is not counted`,
      'resident bytes hold what the collector keeps after such a burst of handshakes, up to some 20 MB for the process; the heap is what lives',
    ],
  };
}

export const sessionMemory: Bench = { name: 'memory', title: 'Memory of an idle session', run };
