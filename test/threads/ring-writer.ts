/** The writing thread of ring-stress.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { RecordHeader } from '../../src/memory/contract.ts';
import { Flag, Kind } from '../../src/memory/layout.ts';
import { ringProducer } from '../../src/memory/ring.ts';
import { openSlab } from '../../src/memory/slab.ts';
import { type Stress, stressRecords } from './stress-records.ts';

const port = parentPort;
if (!port) throw new Error('runs as a worker thread');
const { ring, slab: slabBytes, seed, bytes, owner } = workerData as Stress;
const producer = ringProducer(ring, { ring: () => port.postMessage(0) });
const slab = openSlab(slabBytes);
const records = stressRecords(seed, bytes, producer.payloadBytesMax);
const header: RecordHeader = {
  length: 0,
  kind: Kind.frame,
  flags: 0,
  slot: 1,
  generation: owner,
  stream: 1,
  sequence: 0,
  aux0: 0,
  aux1: 0,
};
const ticketBytes = new Uint8Array(4);
let starved = 0;
let next = records.next();

port.on('message', go);
go();

/** Writes until the ring is full, then waits for its bell; a full slab is tried again a turn later. */
function go(): void {
  while (!next.done) {
    const { sequence, payload } = next.value;
    header.sequence = sequence;
    const put = payload.length > producer.payloadBytesMax ? bySlab : inRing;
    const done = put(payload);
    if (done === 'slab full') return void setImmediate(go);
    if (done === 'ring full') {
      starved += 1;
      return;
    }
    next = records.next();
  }
  port?.postMessage({ starved });
  port?.close();
}

/** By reserve and commit, with more room than needed, or by write. */
function inRing(payload: Uint8Array): 'done' | 'ring full' {
  header.flags = 0;
  header.length = payload.length;
  if (header.sequence % 2 === 0) return producer.write(header, payload) ? 'done' : 'ring full';
  const view = producer.reserve(Math.min(payload.length + 50, producer.payloadBytesMax));
  if (!view) return 'ring full';
  view.set(payload);
  producer.commit(header);
  return 'done';
}

function bySlab(payload: Uint8Array): 'done' | 'ring full' | 'slab full' {
  const ticket = slab.claim(payload.length, owner);
  if (!ticket) return 'slab full';
  slab.view(ticket).set(payload);
  for (let i = 0; i < 4; i++) ticketBytes[i] = ticket.block >>> (8 * i);
  header.flags = Flag.ticket;
  header.length = 4;
  header.aux0 = payload.length;
  if (producer.write(header, ticketBytes)) return 'done';
  slab.free(ticket);
  return 'ring full';
}
