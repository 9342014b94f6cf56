/** The ring under every interleaving of small programs, and the proof that this search finds what it looks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordHeader } from '../../../src/memory/contract.ts';
import type * as ring from '../../../src/memory/ring.ts';
import { type Found, type Program, searchInterleavings } from '../../support/interleavings.ts';
import { tracked } from '../../support/mutant.ts';

type Ring = typeof ring;

const real = await tracked<Ring>('src/memory/ring.js');

interface Shape {
  /** Payload length of each record, in order. */
  readonly lengths: readonly number[];
  /** Records a drain or take may hand out. */
  readonly most: number;
  readonly reading: 'drain' | 'take';
  /** Where the indices start: a distance from the end of the ring, or near an overflow. */
  readonly startIndex: number;
}

const capacity = 256;
const Bells = { reader: 0, writer: 1 } as const;

function headerOf(sequence: number, length: number): RecordHeader {
  const rest = { kind: 16, flags: 5, slot: 2, generation: 9, stream: 1, aux0: -1, aux1: sequence };
  return { length, sequence, ...rest };
}

function payloadOf(sequence: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(65 + sequence);
}

function checkRecord(header: RecordHeader, payload: Uint8Array, sequence: number, length: number) {
  assert.deepEqual({ ...header }, headerOf(sequence, length), `header of record ${sequence}`);
  assert.deepEqual([...payload], [...payloadOf(sequence, length)], `payload of ${sequence}`);
}

/** A producer that waits for space and a consumer that sleeps, as the engine uses them. */
function program({ allocateRing, ringConsumer, ringProducer }: Ring, shape: Shape): Program {
  const { lengths, most, reading, startIndex } = shape;
  const shared = allocateRing(capacity, startIndex);
  const bells = new Int32Array(new SharedArrayBuffer(8));
  return {
    memory: [new Int32Array(shared), bells],
    sides: [
      (world) => {
        const bell = { ring: () => world.post(bells, Bells.reader) };
        const producer = ringProducer(shared, bell, world.atomics);
        for (const [sequence, length] of lengths.entries()) {
          const payload = payloadOf(sequence, length);
          while (!producer.write(headerOf(sequence, length), payload)) {
            world.wait(bells, Bells.writer);
          }
        }
      },
      (world) => {
        const bell = { ring: () => world.post(bells, Bells.writer) };
        const consumer = ringConsumer(shared, bell, world.atomics);
        let next = 0;
        const read = reading === 'drain' ? drain : takeAndRelease;
        while (next < lengths.length) {
          if (read() > 0 || !consumer.sleep()) continue;
          world.wait(bells, Bells.reader);
          consumer.wake();
        }
        assert.equal(consumer.ready(), false, 'a record nobody wrote');

        function drain(): number {
          return consumer.drain(most, (header, payload) => {
            const sequence = next++;
            checkRecord(header, payload, sequence, lengths[sequence]);
            world.pause();
            checkRecord(header, payload, sequence, lengths[sequence]);
          });
        }

        function takeAndRelease(): number {
          const borrowed: { payload: Uint8Array; sequence: number }[] = [];
          const taken = consumer.take(most, (header, payload) => {
            checkRecord(header, payload, next, lengths[next]);
            borrowed.push({ payload, sequence: next++ });
          });
          world.pause();
          for (const { payload, sequence } of borrowed) {
            const length = lengths[sequence];
            checkRecord(headerOf(sequence, length), payload, sequence, length);
          }
          consumer.release();
          return taken;
        }
      },
    ],
  };
}

function say(name: string, { states, schedules, broken }: Found): void {
  const end = broken ? `broken after ${broken.steps.length} steps: ${broken.why}` : 'unbroken';
  process.stdout.write(`# ${name}: ${states} states, ${schedules} schedules, ${end}\n`);
}

const drain = { most: 2, reading: 'drain' } as const;
const take = { most: 2, reading: 'take' } as const;

/** A record of 64 bytes takes 96. From 72, the second would need the 88 bytes it skips too: it waits for the first to be read. */
const shapes = {
  'two small records': { ...drain, lengths: [8, 0], startIndex: 0 },
  'three records, one at a time': { ...drain, lengths: [1, 2, 3], most: 1, startIndex: 0 },
  'no space, then a wrap': { ...drain, lengths: [64, 64], startIndex: 72 },
  'a wrap of 8 bytes': { ...drain, lengths: [64, 64], startIndex: 152 },
  'over 2^31': { ...drain, lengths: [64, 64], startIndex: 2 ** 31 - 104 },
  'over 2^32': { ...drain, lengths: [64, 64], startIndex: 2 ** 32 - 104 },
  'a batch that is kept': { ...take, lengths: [64, 64], startIndex: 40 },
} satisfies Record<string, Shape>;

const largeShapes: Record<string, Shape> = {
  'a full ring': { ...drain, lengths: [64, 64, 64], startIndex: 0 },
  'a full ring over 2^31': { ...drain, lengths: [64, 64, 40], startIndex: 2 ** 31 - 8 },
  'a full ring over 2^32': { ...drain, lengths: [64, 64, 40], startIndex: 2 ** 32 - 104 },
  'batches that are kept': { ...take, lengths: [64, 64, 64], startIndex: 0 },
};

for (const [name, shape] of Object.entries<Shape>({
  ...shapes,
  ...(process.env['SLOW'] ? largeShapes : {}),
})) {
  test(`no schedule loses, repeats, reorders, overwrites or forgets: ${name}`, () => {
    const found = searchInterleavings(program(real, shape));
    say(name, found);
    assert.deepEqual(found.broken, undefined);
    assert.ok(found.schedules > 1000n, 'the sides hardly met');
  });
}

const faults: { name: string; from: string; to: string; shape: Shape; why: RegExp }[] = [
  {
    name: 'publishes before it writes',
    from: 'words[at + Word.length] = length;',
    to: `this.#atomics.store(words, RingWord.head, (this.#start + recordBytes(length)) | 0);
         words[at + Word.length] = length;`,
    shape: shapes['two small records'],
    why: /a race of/,
  },
  {
    name: 'sleeps without looking again',
    from: 'if (!this.ready())',
    to: 'if (true)',
    shape: shapes['two small records'],
    why: /nobody can go on/,
  },
  {
    name: 'waits for space without looking again',
    from: `this.#atomics.store(words, RingWord.starved, 1);
        this.#tail = this.#atomics.load(words, RingWord.tail);`,
    to: 'this.#atomics.store(words, RingWord.starved, 1);',
    shape: shapes['no space, then a wrap'],
    why: /nobody can go on/,
  },
  {
    name: 'gives space back before the callback is through with it',
    from: 'each(this.#header,',
    to: 'this.#giveBack(); each(this.#header,',
    shape: largeShapes['a full ring'],
    why: /a race of/,
  },
  {
    name: 'does not look whether the reader sleeps',
    from: 'this.#wakeReader();',
    to: '',
    shape: shapes['two small records'],
    why: /nobody can go on/,
  },
  {
    name: 'does not look whether the writer waits',
    from: `if (this.#atomics.load(words, RingWord.starved) === 0)
            return;`,
    to: 'return;',
    shape: shapes['no space, then a wrap'],
    why: /nobody can go on/,
  },
  {
    name: 'forgets that a record must lie in one piece',
    from: 'size > toEnd ? toEnd : 0',
    to: '0',
    shape: shapes['a wrap of 8 bytes'],
    why: /offset is out of bounds|past what was written/,
  },
];

for (const { name, from, to, shape, why } of faults) {
  test(`the search finds a ring that ${name}`, async () => {
    const faulty = await tracked<Ring>('src/memory/ring.js', { from, to });
    const found = searchInterleavings(program(faulty, shape));
    say(name, found);
    assert.ok(found.broken, 'the fault was not found');
    assert.match(found.broken.why, why);
  });
}
