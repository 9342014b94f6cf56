/**
 * What one 64-byte record costs each side of a ring, both in one thread, in batches of half a ring: CPU time, median of
 * several rounds.
 * Run: node dist/bench/micro/memory/ring.js [payload bytes] [records a batch]
 */
import type { RecordHeader } from '../../../src/memory/contract.ts';
import { Kind } from '../../../src/memory/layout.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../../src/memory/ring.ts';

const payloadBytes = Number(process.argv[2] ?? 64);
const batch = Number(process.argv[3] ?? Math.floor(2 ** 19 / (payloadBytes + 40)));
const recordsPerRound = 1_000_000;
const rounds = 9;

const shared = allocateRing(1024 * 1024);
const noBell = { ring(): void {} };
const producer = ringProducer(shared, noBell);
const consumer = ringConsumer(shared, noBell);
const payload = new Uint8Array(payloadBytes).fill(97);
const header: RecordHeader = {
  length: payloadBytes,
  kind: Kind.frame,
  flags: 0,
  slot: 3,
  generation: 7,
  stream: 1,
  sequence: 0,
  aux0: 0,
  aux1: 0,
};

let seen = 0;
function each(record: RecordHeader, view: Uint8Array): void {
  seen += record.sequence + view.length;
}

/** CPU microseconds of the process so far: other programs on the machine do not count. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU nanoseconds a record, for both sides. */
function round(put: () => boolean): { write: number; read: number } {
  let writing = 0;
  let reading = 0;
  let done = 0;
  for (; done < recordsPerRound; done += batch) {
    const start = cpuMicros();
    for (let i = 0; i < batch; i++) if (!put()) throw new Error('the ring is too small');
    const between = cpuMicros();
    consumer.drain(batch, each);
    reading += cpuMicros() - between;
    writing += between - start;
  }
  return { write: (writing * 1000) / done, read: (reading * 1000) / done };
}

function byWrite(): boolean {
  header.sequence += 1;
  return producer.write(header, payload);
}

function byReserve(): boolean {
  header.sequence += 1;
  const view = producer.reserve(payloadBytes);
  if (!view) return false;
  view[0] = 98;
  producer.commit(header);
  return true;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function report(name: string, put: () => boolean): void {
  round(put);
  const heapBefore = process.memoryUsage().heapUsed;
  const results = Array.from({ length: rounds }, () => round(put));
  const write = median(results.map((r) => r.write));
  const read = median(results.map((r) => r.read));
  const heapKiB = (process.memoryUsage().heapUsed - heapBefore) / 1024;
  process.stdout.write(
    `${name} ${payloadBytes} B: producer ${write.toFixed(1)} ns, consumer ${read.toFixed(1)} ns, ` +
      `${(1000 / (write + read)).toFixed(2)} M records/s, heap ${heapKiB.toFixed(0)} KiB\n`,
  );
}

report('write  ', byWrite);
report('reserve', byReserve);
if (seen < 0) process.stdout.write(`${seen}\n`);
