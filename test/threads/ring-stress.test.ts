/** A ring between two real threads: random sizes, every byte checked, indices over both of their overflows. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { RecordHeader } from '../../src/memory/contract.ts';
import { Flag } from '../../src/memory/layout.ts';
import { allocateRing, ringConsumer } from '../../src/memory/ring.ts';
import { createPump } from '../../src/memory/signal.ts';
import { allocateSlab, openSlab } from '../../src/memory/slab.ts';
import { seeded } from '../support/seed.ts';
import { until } from '../support/until.ts';
import { type Stress, stressRecords } from './stress-records.ts';

interface Shape {
  readonly capacity: number;
  readonly startIndex: number;
  readonly reading: 'drain' | 'take';
  /** Idle turns before the reader sleeps: 0 sleeps as often as possible. */
  readonly turnsMax: number;
}

const shapes: Record<string, Shape> = {
  'a small ring over 2^31': {
    capacity: 4096,
    startIndex: 2 ** 31 - 8,
    reading: 'drain',
    turnsMax: 0,
  },
  'a small ring over 2^32, batches kept': {
    capacity: 4096,
    startIndex: 2 ** 32 - 4096,
    reading: 'take',
    turnsMax: 2,
  },
  'a ring of 256 KiB over 2^31': {
    capacity: 2 ** 18,
    startIndex: 2 ** 31 - 2 ** 20,
    reading: 'drain',
    turnsMax: 4,
  },
  'a ring of 256 KiB over 2^32': {
    capacity: 2 ** 18,
    startIndex: 2 ** 32 - 2 ** 20,
    reading: 'take',
    turnsMax: 0,
  },
};

const owner = 77;
const bytesInAll = process.env['SLOW'] ? 1e9 : 20e6;

/** Checks everything that comes out of the ring against what must come. */
function checker(stress: Stress, payloadBytesMax: number) {
  const slab = openSlab(stress.slab);
  const records = stressRecords(stress.seed, stress.bytes, payloadBytesMax);
  const seen = { records: 0, bytes: 0, inSlab: 0 };
  return {
    seen,
    check(header: RecordHeader, payload: Uint8Array): void {
      const expected = records.next().value ?? assert.fail('a record too many');
      assert.equal(header.sequence, expected.sequence);
      assert.equal(header.generation, owner);
      const { length } = expected.payload;
      if (length > payloadBytesMax) {
        assert.equal(header.flags, Flag.ticket);
        assert.equal(header.aux0, length);
        const block = payload[0] | (payload[1] << 8) | (payload[2] << 16) | (payload[3] << 24);
        const ticket = { block, length };
        assert.ok(Buffer.compare(slab.view(ticket), expected.payload) === 0, 'slab bytes');
        slab.free(ticket);
        seen.inSlab += 1;
      } else {
        assert.equal(header.flags, 0);
        assert.ok(Buffer.compare(payload, expected.payload) === 0, 'payload bytes');
      }
      seen.records += 1;
      seen.bytes += length;
    },
  };
}

async function stressRing(stress: Stress, { reading, turnsMax, capacity }: Shape) {
  const records = checker(stress, capacity / 4);
  const worker = new Worker(new URL('ring-writer.js', import.meta.url), { workerData: stress });
  let failure: unknown;
  let starved = -1;
  const consumer = ringConsumer(stress.ring, { ring: () => worker.postMessage(0) });
  const pump = createPump({
    consumer,
    turnsMax,
    soon: setImmediate,
    drain() {
      try {
        if (reading === 'drain')
          return consumer.drain(64, (header, payload) => records.check(header, payload));
        const kept: [RecordHeader, Uint8Array][] = [];
        consumer.take(64, (header, payload) => kept.push([{ ...header }, payload]));
        for (const [header, payload] of kept) records.check(header, payload);
        consumer.release();
        return kept.length;
      } catch (error) {
        failure ??= error;
        pump.stop();
        return 0;
      }
    },
  });
  worker.on('message', (message: 0 | { starved: number }) => {
    if (message === 0) pump.ring();
    else starved = message.starved;
  });
  worker.on('error', (error) => (failure ??= error));
  const exit = once(worker, 'exit');
  try {
    await until(
      () => failure !== undefined || records.seen.bytes >= stress.bytes,
      'all bytes',
      process.env['SLOW'] ? 600_000 : 60_000,
    );
    assert.ifError(failure);
    await exit;
  } finally {
    pump.stop();
    await worker.terminate();
  }
  assert.equal(openSlab(stress.slab).taken(), 0, 'slab blocks left');
  assert.ok(records.seen.inSlab > 0, 'nothing went through the slab');
  return { ...records.seen, starved };
}

for (const [name, shape] of Object.entries(shapes)) {
  test(`nothing is lost, changed or out of order between two threads: ${name}`, async () => {
    const { seed } = seeded(name);
    const stress: Stress = {
      ring: allocateRing(shape.capacity, shape.startIndex),
      slab: allocateSlab(2 ** 20),
      seed,
      bytes: bytesInAll / Object.keys(shapes).length,
      owner,
    };
    const began = performance.now();
    const seen = await stressRing(stress, shape);
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(
      `# ${name}: ${seen.records} records, ${(seen.bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(2)} s, ` +
        `${seen.inSlab} through the slab, starved ${seen.starved} times\n`,
    );
    if (shape.capacity < 2 ** 16) assert.ok(seen.starved > 0, 'the ring was never full');
  });
}
