/**
 * Records of 64 bytes from a worker thread to the main thread: over our ring, or as messages. Every line "seconds" on stdin is
 * answered with what one window cost this thread.
 */
import { Worker } from 'node:worker_threads';
import type { RecordHeader } from '../../../src/memory/contract.ts';
import { allocateRing, ringConsumer } from '../../../src/memory/ring.ts';
import { createPump } from '../../../src/memory/signal.ts';
import { must } from '../../../src/must.ts';
import { spent, threadTimes } from '../schedstat.ts';
import { ready, say, settings } from './serve.ts';

const RECORDS_PER_TURN = 1024;
const { kind } = settings() as { kind: 'ring' | 'messages' };
const ring = allocateRing(2 ** 20);
const worker = new Worker(new URL('./hop-worker.js', import.meta.url), {
  workerData: { kind, ring },
});
let records = 0;

function take(sequence: number, first: number): void {
  must(sequence === (records | 0), 'records come in order');
  must(first === (sequence & 0xff), 'a record carries its own bytes');
  records += 1;
}

function overRing(): void {
  const consumer = ringConsumer(ring, { ring: () => worker.postMessage('space') });
  const each = (header: RecordHeader, payload: Uint8Array) => take(header.sequence, payload[0]);
  const pump = createPump({
    consumer,
    drain: () => consumer.drain(RECORDS_PER_TURN, each),
    soon: (task) => void setImmediate(task),
    turnsMax: 20,
  });
  worker.on('message', () => pump.ring());
}

function overMessages(): void {
  worker.on('message', (bytes: Uint8Array) => {
    take(records | 0, bytes[0]);
    if (records % 128 === 0) worker.postMessage('more');
  });
}

if (kind === 'ring') overRing();
else overMessages();
worker.postMessage('go');

ready(0, (line) => {
  const before = threadTimes(process.pid);
  const [from, count] = [performance.now(), records];
  setTimeout(() => {
    const { main, all } = spent(process.pid, before, threadTimes(process.pid));
    const seconds = (performance.now() - from) / 1000;
    say({ records: records - count, seconds, mainNs: main, cpuNs: all });
  }, Number(line) * 1000);
});
