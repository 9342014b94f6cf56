/**
 * One token to a client, compressed, send included: zstd with the dictionary into uWebSockets.js (what millrace does, on one thread here),
 * beside `ws` with permessage-deflate and context takeover (what a Node server does by one option), and both without compression. CPU of this
 * process per message, all clients in another one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type WebSocket, WebSocketServer } from 'ws';
import { chooseCoder, isServed } from '../../../src/codec/choice.ts';
import { DICTIONARY_LEVEL, loadDictionary } from '../../../src/codec/dictionaries.ts';
import { dictionaryFor } from '../../../src/codec/dictionary-table.ts';
import { must } from '../../../src/must.ts';
import type { Bench, Outcome, Settings } from '../../support/bench.ts';
import { framesOf, simulatedBody } from '../../support/dialect-frames.ts';
import { listenUws, loadUws, type UwsSocket } from '../../support/peers/uws.ts';
import { interleave } from '../../support/rounds.ts';
import { ratios } from '../../support/statistics.ts';

const CLIENTS = 100;
/** Every client gets one message in so many milliseconds: 5,000 a second, which the slowest carries. */
const PERIOD_MS = 20;
const TURNS = 100;
const client = fileURLToPath(new URL('../../support/peers/deflating-client.js', import.meta.url));

export const compressedSend: Bench = {
  name: 'compressed-send',
  title: 'A compressed token to its client, send included',
  run: measure,
};

interface Variant {
  readonly name: string;
  /** To every client. */
  readonly send: (frame: Uint8Array) => void;
  readonly children: ChildProcess;
}

const frames = Array.from({ length: 5 }, (_, at) => framesOf('responses', simulatedBody(9, at), at))
  .flat()
  .filter((frame) => frame.byteLength < 200);

async function measure(settings: Settings): Promise<Outcome> {
  if (!isServed('zstd+dict')) return { readings: [], goals: [], notes: ['no zstd here'] };
  const variants = [
    await overUws('uWebSockets.js, zstd+dict', packer()),
    await overWs('ws, permessage-deflate', true),
    await overUws('uWebSockets.js, plain', (frame) => frame),
    await overWs('ws, plain', false),
  ];
  const turns = settings.quick ? 20 : TURNS;
  const us = await interleave(variants, settings.rounds, ({ send }) => run(send, turns));
  for (const { children } of variants) children.stdin?.end();
  const of = (name: string) => us.get(name) ?? [];
  return {
    readings: variants.map(({ name }) => ({
      what: `${name}: CPU per message`,
      unit: 'µs',
      values: of(name),
    })),
    goals: [
      {
        what: 'zstd+dict over uWebSockets.js against permessage-deflate of ws',
        sense: 'at most',
        limit: 0.35,
        values: ratios(of(variants[0].name), of(variants[1].name)),
        unit: 'x',
      },
    ],
    notes: [`${CLIENTS} clients, one Responses delta each every ${PERIOD_MS} ms`],
  };
}

function packer(): (frame: Uint8Array) => Uint8Array {
  const dictionary = loadDictionary(dictionaryFor('responses')?.hash ?? '');
  must(dictionary, 'responses has a dictionary');
  const { coder } = chooseCoder('zstd', 150, true);
  const place = new Uint8Array(4_096);
  return (frame) =>
    place.subarray(0, coder.compressInto(frame, place, DICTIONARY_LEVEL, dictionary));
}

async function run(send: (frame: Uint8Array) => void, turns: number): Promise<number> {
  const before = process.cpuUsage();
  for (let turn = 0; turn < turns; turn++) {
    send(frames[turn % frames.length]);
    await pause(PERIOD_MS);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (turns * CLIENTS);
}

async function open(port: number, offers: boolean): Promise<ChildProcess> {
  const args = [client, String(port), String(CLIENTS), offers ? '1' : '0'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  must(child.stdout, 'it has an output');
  await once(child.stdout, 'data');
  return child;
}

async function overUws(name: string, pack: (frame: Uint8Array) => Uint8Array): Promise<Variant> {
  const uws = loadUws();
  const sockets = new Set<UwsSocket>();
  const app = uws.App().ws('/*', {
    idleTimeout: 0,
    open: (socket) => void sockets.add(socket),
    close: (socket) => void sockets.delete(socket),
  });
  const children = await open(await listenUws(uws, app), false);
  return {
    name,
    children,
    // Each client's token is its own: compressed once for each.
    send: (frame) => sockets.forEach((socket) => socket.send(pack(frame), true)),
  };
}

async function overWs(name: string, deflate: boolean): Promise<Variant> {
  const server = new WebSocketServer({ port: 0, perMessageDeflate: deflate && { threshold: 0 } });
  const sockets = new Set<WebSocket>();
  server.on('connection', (socket) => sockets.add(socket));
  await once(server, 'listening');
  const children = await open((server.address() as { port: number }).port, deflate);
  children.once('exit', () => server.close());
  return { name, children, send: (frame) => sockets.forEach((socket) => socket.send(frame)) };
}
