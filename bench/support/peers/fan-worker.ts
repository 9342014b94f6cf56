/** The synthetic worker of fan-millrace.ts: the wheel, a ring, credit. */
import { parentPort, workerData } from 'node:worker_threads';
import type { RecordHeader, SharedBytes } from '../../../src/memory/contract.ts';
import { Flag, Kind } from '../../../src/memory/layout.ts';
import { ringProducer } from '../../../src/memory/ring.ts';
import { openSessionCells } from '../../../src/memory/session-cells.ts';
import { must } from '../../../src/must.ts';
import { systemClock, systemTicker } from '../../../src/threads/world.ts';
import { ReadPace } from '../../../src/worker/read-pace.ts';
import { STREAMS_MAX, TOKENS_PER_SECOND, TokenWheel } from './wheel.ts';

const port = parentPort;
must(port, 'this file is the entry of a thread');
const { ring, cells } = workerData as { ring: SharedBytes; cells: SharedBytes };
// Rung as a real worker rings: once, when a turn of its loop is over.
const bell = new ReadPace({
  bell: { ring: () => port.postMessage(0) },
  clock: systemClock,
  ticker: systemTicker,
  pause: () => {},
});
const producer = ringProducer(ring, bell);
const credit = openSessionCells(cells);
const generations = new Uint32Array(STREAMS_MAX);
const streams = new Uint32Array(STREAMS_MAX);
const frames = new Uint32Array(STREAMS_MAX);
const header: RecordHeader = {
  length: 0,
  kind: Kind.frame,
  flags: 0,
  slot: 0,
  generation: 0,
  stream: 0,
  sequence: 0,
  aux0: 0,
  aux1: 0,
};

const wheel = new TokenWheel(STREAMS_MAX, TOKENS_PER_SECOND, (slot, frame) => {
  if (credit.credit(slot) <= 0) return false;
  header.length = frame.length;
  header.slot = slot;
  header.generation = generations[slot];
  header.stream = streams[slot];
  header.flags = frames[slot] === 0 ? Flag.commit : 0;
  header.sequence = frames[slot];
  if (!producer.write(header, frame)) return false;
  frames[slot]++;
  credit.spend(slot, frame.length);
  return true;
});

port.on('message', (of: { slot: number; generation: number; stream: number }) => {
  generations[of.slot] = of.generation;
  streams[of.slot] = of.stream;
  frames[of.slot] = 0;
  if (of.generation === 0) wheel.stop(of.slot);
  else wheel.start(of.slot);
});
wheel.run();
