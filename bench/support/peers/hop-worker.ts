/** The writing side of hop.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { RecordHeader, SharedBytes } from '../../../src/memory/contract.ts';
import { Kind } from '../../../src/memory/layout.ts';
import { ringProducer } from '../../../src/memory/ring.ts';
import { must } from '../../../src/must.ts';

const RECORD_BYTES = 64;
const port = parentPort;
must(port, 'this file is the entry of a thread');
const { kind, ring } = workerData as { kind: 'ring' | 'messages'; ring: SharedBytes };
const payload = new Uint8Array(RECORD_BYTES).fill(1);
let sequence = 0;

function fillRing(): () => void {
  const producer = ringProducer(ring, { ring: () => port?.postMessage('bell') });
  const header: RecordHeader = {
    length: RECORD_BYTES,
    kind: Kind.frame,
    flags: 0,
    slot: 0,
    generation: 1,
    stream: 1,
    sequence: 0,
    aux0: 0,
    aux1: 0,
  };
  // Until there is no space: then the reader rings.
  return () => {
    for (;;) {
      header.sequence = sequence;
      payload[0] = sequence & 0xff;
      if (!producer.write(header, payload)) return;
      sequence = (sequence + 1) | 0;
    }
  };
}

function postBurst(): void {
  for (let i = 0; i < 128; i++) {
    payload[0] = sequence & 0xff;
    sequence = (sequence + 1) | 0;
    port?.postMessage(payload);
  }
}

const work = kind === 'ring' ? fillRing() : postBurst;
port.on('message', () => work());
