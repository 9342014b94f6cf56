/**
 * Open streams: how much a server grows by each, its session and its upstream's socket included, resident, garbage collected. Every
 * stream has had its first token and waits for the next.
 */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import type { Bench, Outcome, Settings } from '../support/bench.ts';
import { type Server, startLoad, startUpstream } from '../support/children.ts';
import { millraceVariants } from '../support/millrace.ts';
import { interleave } from '../support/rounds.ts';
import { startAll, type Variant } from '../support/variant.ts';

const STREAMS = 2_000;
const STREAMS_QUICK = 200;
/** Streams that come and go before the first reading: pools, compiled code and tables are there then. */
const WAVES = 2;
const WAVE = 1_000;
/** The first token comes after that, the second when all is measured. */
const TOKEN_S = 4;
const TOKEN_S_QUICK = 2;
const COLLECT = '/collect';
const collectRoute = new URL('../support/peers/collect-route.js', import.meta.url);
const PLAIN = 'plain (ws + fetch + eventsource-parser + JSON)';

interface Memory {
  readonly residentBytes: number;
}

/** Resident bytes, the garbage of main and of the one worker collected. */
async function resident(server: Server, path: string): Promise<number> {
  if (path !== '/ws') {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${COLLECT}`);
    await once(socket, 'open');
    socket.send('now');
    await once(socket, 'message');
    socket.terminate();
  }
  return (await server.child.ask<Memory>('memory')).residentBytes;
}

async function grown(
  server: Server,
  path: string,
  streams: number,
  tokenS: number,
): Promise<number> {
  await pause(300);
  const before = await resident(server, path);
  const request = {
    type: 'response.create',
    model: `r${1 / tokenS}n9`,
    input: 'Tell me how a mill race works.',
    stream: true,
  };
  const options = { port: server.port, path, conns: streams, request: JSON.stringify(request) };
  const load = startLoad('hold', options, false);
  await load.answer();
  const after = await resident(server, path);
  await load.end();
  return (after - before) / streams;
}

async function run(settings: Settings): Promise<Outcome> {
  const streams = settings.quick ? STREAMS_QUICK : STREAMS;
  const tokenS = settings.quick ? TOKEN_S_QUICK : TOKEN_S;
  const upstream = await startUpstream(false);
  const url = `http://127.0.0.1:${upstream.port}/v1`;
  const variants: Variant[] = [
    ...millraceVariants(settings, '/v1/responses', {
      upstreams: [{ name: 'bench', url, maxConnections: 2 * STREAMS }],
      routes: [{ path: COLLECT, module: fileURLToPath(collectRoute) }],
      threads: { workers: 1 },
    }),
    { name: PLAIN, peer: 'relay-plain', settings: { upstream: url } },
  ];
  try {
    // A fresh process for every round: memory once grown is not given back and would hide the next round.
    const bytes = await interleave(variants, Math.min(settings.rounds, 5), async (variant, at) => {
      const [server] = await startAll([variant], false);
      const path = variant.path ?? '/ws';
      try {
        for (let wave = 0; wave < WAVES; wave++) await grown(server, path, WAVE, 1);
        const each = await grown(server, path, streams, tokenS);
        settings.progress(`round ${at + 1} ${variant.name}: ${(each / 1000).toFixed(1)} KB`);
        return each;
      } finally {
        await server.child.end();
      }
    });
    const rows = [...bytes].map(([name, values]) => ({
      what: `${name}: resident per open stream`,
      unit: 'KB',
      values: values.map((value) => value / 1000),
    }));
    const ours = rows.filter(({ what }) => what.startsWith('millrace'));
    return {
      readings: rows,
      goals: ours.map((row) => ({ ...row, sense: 'at most' as const, limit: 16 })),
      notes: [
        `${streams} streams that come at once; memory of the kernel's sockets is not counted`,
      ],
    };
  } finally {
    await upstream.child.end();
  }
}

export const streamMemory: Bench = {
  name: 'stream-memory',
  title: 'Memory of an open stream',
  run,
};
