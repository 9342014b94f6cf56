/** One ring in one thread: limits, edges, and random sequences against a plain queue. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RecordHeader, RingConsumer, RingProducer } from '../../../src/memory/contract.ts';
import { Kind, RING_CONTROL_BYTES, RingWord, Word } from '../../../src/memory/layout.ts';
import { allocateRing, ringConsumer, ringProducer } from '../../../src/memory/ring.ts';
import { Bug } from '../../../src/must.ts';
import { runs } from '../../support/runs.ts';

const noBell = { ring(): void {} };

function headerOf(sequence: number, length: number): RecordHeader {
  const rest = { kind: Kind.frame, flags: 0, slot: 0, generation: 0, stream: 0, aux0: 0, aux1: 0 };
  return { length, sequence, ...rest };
}

function bytes(length: number, value = 7): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function countingBell(): { ring(): void; rings: number } {
  return {
    rings: 0,
    ring() {
      this.rings += 1;
    },
  };
}

function pair(capacity: number, startIndex = 0) {
  const shared = allocateRing(capacity, startIndex);
  const bell = countingBell();
  const starvedBell = countingBell();
  const producer = ringProducer(shared, bell);
  const consumer = ringConsumer(shared, starvedBell);
  return { shared, bell, starvedBell, producer, consumer };
}

function drained(consumer: RingConsumer, most = Number.POSITIVE_INFINITY): number[] {
  const sequences: number[] = [];
  consumer.drain(most, (header) => sequences.push(header.sequence));
  return sequences;
}

/** Writes one-byte-payload records (40 bytes each) until the ring refuses. */
function fill(producer: RingProducer): number {
  let written = 0;
  while (producer.write(headerOf(written, 1), bytes(1))) written += 1;
  return written;
}

test('a ring has a power of two of bytes, from 256 to 2^30', () => {
  for (const wrong of [0, 128, 255, 257, 384, 2 ** 30 + 1, 2 ** 31]) {
    assert.throws(() => allocateRing(wrong), Bug, String(wrong));
  }
  assert.equal(ringProducer(allocateRing(256), noBell).payloadBytesMax, 64);
  assert.throws(() => allocateRing(256, 4), Bug);
  assert.throws(() => ringProducer(new SharedArrayBuffer(300), noBell), Bug);
});

test('all words of a header arrive, at their limits', () => {
  const { producer, consumer } = pair(256);
  const extremes = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)];
  for (const word of extremes) {
    const header = {
      length: 0,
      kind: 255,
      flags: 0xffff,
      slot: word,
      generation: word,
      stream: word,
      sequence: word,
      aux0: word,
      aux1: word,
    };
    assert.ok(producer.write(header, bytes(0)));
    consumer.drain(1, (got) => assert.deepEqual({ ...got }, header));
  }
});

test('a payload may have 0 bytes and a quarter of the ring, not one more', () => {
  const { producer, consumer } = pair(1024);
  for (const length of [0, 1, 255, 256]) {
    assert.ok(producer.write(headerOf(0, length), bytes(length)));
    assert.equal(
      consumer.drain(9, (_, payload) => assert.deepEqual(payload, bytes(length))),
      1,
    );
  }
  assert.throws(() => producer.reserve(257), Bug);
  assert.throws(() => producer.write(headerOf(0, 257), bytes(257)), Bug);
  assert.throws(() => producer.reserve(-1), Bug);
});

test('a reservation may be used in part, for nothing, or not at all', () => {
  const { producer, consumer } = pair(256);
  for (const length of [64, 3, 0]) {
    const view = producer.reserve(64);
    assert.equal(view?.length, 64);
    view?.fill(5);
    producer.commit(headerOf(length, length));
    consumer.drain(1, (header, payload) => {
      assert.equal(header.length, length);
      assert.deepEqual(payload, bytes(length, 5));
    });
  }
  assert.ok(producer.reserve(64));
  producer.abandon();
  assert.equal(consumer.ready(), false);
  assert.ok(producer.write(headerOf(1, 1), bytes(1)));
  assert.deepEqual(drained(consumer), [1]);
});

test('a commit of more than was reserved, or of nothing reserved, is a bug', () => {
  const { producer } = pair(256);
  producer.reserve(0);
  assert.throws(() => producer.reserve(0), Bug);
  producer.abandon();
  producer.reserve(8);
  assert.throws(() => producer.reserve(8), Bug);
  assert.throws(() => producer.commit(headerOf(0, 9)), Bug);
  producer.commit(headerOf(0, 8));
  assert.throws(() => producer.commit(headerOf(0, 0)), Bug);
});

test('a full ring refuses, and rings once when there is space again', () => {
  const { producer, consumer, starvedBell } = pair(256);
  assert.equal(fill(producer), 6);
  assert.equal(producer.reserve(64), undefined);
  assert.equal(starvedBell.rings, 0);
  assert.deepEqual(drained(consumer, 1), [0]);
  assert.equal(starvedBell.rings, 1);
  assert.deepEqual(drained(consumer, 1), [1]);
  assert.equal(starvedBell.rings, 1, 'nobody waits any more');
});

test('an empty ring always takes the largest payload, wherever its indices stand', () => {
  const { producer, consumer } = pair(256);
  for (let step = 0; step < 200; step++) {
    assert.ok(producer.write(headerOf(step, step % 65), bytes(step % 65)));
    assert.deepEqual(drained(consumer), [step]);
    assert.ok(producer.free() >= 0);
    assert.ok(producer.reserve(64), `at step ${step}`);
    producer.abandon();
  }
});

test('what free() promises, reserve() gives', () => {
  const { producer, consumer } = pair(512);
  for (let step = 0; step < 500; step++) {
    const free = producer.free();
    const view = producer.reserve(free);
    assert.ok(view !== undefined || free === 0, `${free} bytes at step ${step}`);
    producer.abandon();
    if (!producer.write(headerOf(step, step % 50), bytes(step % 50))) consumer.drain(2, () => {});
  }
});

test('the bell rings once per sleep, only for a sleeper', () => {
  const { producer, consumer, bell } = pair(1024);
  producer.write(headerOf(0, 1), bytes(1));
  assert.equal(bell.rings, 0, 'awake');
  assert.equal(consumer.sleep(), false, 'a record is there');
  producer.write(headerOf(0, 1), bytes(1));
  assert.equal(bell.rings, 0, 'still awake');
  drained(consumer);
  assert.equal(consumer.sleep(), true);
  producer.write(headerOf(1, 1), bytes(1));
  producer.write(headerOf(2, 1), bytes(1));
  assert.equal(bell.rings, 1);
  drained(consumer);
  assert.equal(consumer.sleep(), true);
  consumer.wake();
  producer.write(headerOf(3, 1), bytes(1));
  assert.equal(bell.rings, 1, 'woken');
});

test('taken records stay until release, and drain refuses in between', () => {
  const { producer, consumer } = pair(256);
  const written = fill(producer);
  const views: Uint8Array[] = [];
  assert.equal(
    consumer.take(3, (_, payload) => views.push(payload)),
    3,
  );
  assert.equal(
    consumer.take(99, (_, payload) => views.push(payload)),
    written - 3,
  );
  assert.equal(producer.write(headerOf(0, 1), bytes(1, 9)), false, 'nothing is free yet');
  assert.throws(() => consumer.drain(1, () => {}), Bug);
  assert.throws(() => consumer.sleep(), Bug);
  for (const view of views) assert.deepEqual(view, bytes(1));
  consumer.release();
  consumer.release();
  assert.ok(producer.write(headerOf(0, 1), bytes(1, 9)));
});

test('a throw in a callback gives back what was read and goes on with the next record', () => {
  const { producer, consumer } = pair(256);
  fill(producer);
  assert.throws(() => consumer.drain(9, thrower), /on purpose/);
  assert.deepEqual(drained(consumer), [1, 2, 3, 4, 5]);
  assert.ok(producer.write(headerOf(6, 1), bytes(1)));

  function thrower(): void {
    throw new Error('on purpose');
  }
});

test('a callback must not read the ring it is called from', () => {
  const { producer, consumer } = pair(256);
  producer.write(headerOf(0, 1), bytes(1));
  assert.throws(() => consumer.drain(1, () => drained(consumer)), Bug);
  producer.write(headerOf(1, 1), bytes(1));
  producer.write(headerOf(2, 1), bytes(1));
  assert.throws(() => consumer.drain(1, () => consumer.take(1, () => {})), Bug);
  assert.throws(() => consumer.drain(1, () => consumer.release()), Bug);
});

for (const start of [0, 2 ** 31 - 80, 2 ** 32 - 80]) {
  test(`a long drain gives space back whenever a quarter was read, from index ${start}`, () => {
    const { shared, producer, consumer } = pair(256, start);
    assert.equal(fill(producer), 6);
    const tails: number[] = [];
    consumer.drain(6, () => tails.push((new Int32Array(shared)[RingWord.tail] - start) | 0));
    // Records of 40 bytes; a quarter is 64.
    assert.deepEqual(tails, [0, 0, 80, 80, 160, 160]);
    assert.equal((new Int32Array(shared)[RingWord.tail] - start) | 0, 240);
  });
}

test('drain of 0 records does nothing', () => {
  const { producer, consumer } = pair(256);
  producer.write(headerOf(0, 1), bytes(1));
  assert.equal(
    consumer.drain(0, () => assert.fail('called')),
    0,
  );
  assert.equal(consumer.ready(), true);
});

test('a record that cannot be is a bug, not a read outside', () => {
  // Longer than any, longer than the rest of the ring, longer than what was written, shorter than nothing.
  for (const [capacity, length] of [
    [1024, 257],
    [256, 2 ** 20],
    [1024, 250],
    [256, -8],
  ]) {
    const { shared, producer, consumer } = pair(capacity);
    for (let i = 0; i < 5; i++) producer.write(headerOf(i, 8), bytes(8));
    new Int32Array(shared)[RING_CONTROL_BYTES / 4 + Word.length] = length;
    assert.throws(() => consumer.drain(1, () => {}), Bug, `${length} bytes`);
  }
});

type Command =
  | { do: 'write'; length: number }
  | { do: 'reserve'; max: number; used: number }
  | { do: 'drain'; most: number }
  | { do: 'take'; most: number }
  | { do: 'release' };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write'), length: fc.nat(128) }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(128), fc.nat(128))
      .map(([a, b]) => ({ do: 'reserve' as const, max: Math.max(a, b), used: Math.min(a, b) })),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drain'), most: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('take'), most: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release') }) },
) as fc.Arbitrary<Command>;

/** Plays commands on a ring and on a plain queue. */
function play(commands: readonly Command[], startIndex: number): void {
  const { producer, consumer } = pair(512, startIndex);
  const queue: { sequence: number; length: number }[] = [];
  const borrowed: { payload: Uint8Array; sequence: number }[] = [];
  let written = 0;
  const expect = (header: RecordHeader, payload: Uint8Array) => {
    const { sequence, length } = queue.shift() ?? assert.fail('a record too many');
    assert.equal(header.sequence, sequence);
    assert.deepEqual(payload, bytes(length, sequence & 255));
  };
  const release = () => {
    for (const { payload, sequence } of borrowed.splice(0)) {
      assert.deepEqual(
        payload,
        bytes(payload.length, sequence & 255),
        'overwritten while borrowed',
      );
    }
    consumer.release();
  };
  const put = (length: number, view: Uint8Array | undefined) => {
    if (!view) return assert.ok(queue.length + borrowed.length > 0, 'refused by an empty ring');
    view.fill(written & 255);
    producer.commit(headerOf(written, length));
    queue.push({ sequence: written++, length });
  };
  for (const step of commands) {
    if (step.do === 'write') {
      const had = producer.write(headerOf(written, step.length), bytes(step.length, written & 255));
      if (had) queue.push({ sequence: written++, length: step.length });
      else assert.ok(queue.length + borrowed.length > 0, 'refused by an empty ring');
    } else if (step.do === 'reserve') put(step.used, producer.reserve(step.max));
    else if (step.do === 'release') release();
    else if (step.do === 'take') {
      consumer.take(step.most, (header, payload) => {
        expect(header, payload);
        borrowed.push({ payload, sequence: header.sequence });
      });
    } else {
      release();
      const most = Math.min(step.most, queue.length);
      assert.equal(consumer.drain(step.most, expect), most);
    }
  }
  release();
  consumer.drain(Number.POSITIVE_INFINITY, expect);
  assert.equal(queue.length, 0);
}

for (const startIndex of [0, 2 ** 31 - 8, 2 ** 31 - 512, 2 ** 32 - 8, 2 ** 32 - 1000]) {
  test(`any sequence of calls does what a queue does, from index ${startIndex}`, () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => play(commands, startIndex)),
      runs(400, 20_000),
    );
  });
}
