/**
 * A byte ring from one thread to one other.
 *
 *     control block (128 B)                          bytes (capacity, a power of two)
 *     ┌────────┬─────────┬ … ┬────────┬────────┬ … ┐┌──────────┬───────────────┬───────────────┬────────────┐
 *     │ head   │ starved │   │ tail   │ asleep │   ││ …  free  │ record │ rec… │ record        │ wrap │ free│
 *     └────────┴─────────┴ … ┴────────┴────────┴ … ┘└──────────┴▲──────────────┴───────────────┴▲─────┴─────┘
 *      line 0: producer's     line 1: consumer's                tail & mask                     head & mask
 *
 * Who writes: the producer writes record bytes, `head`, and sets `starved`; the consumer writes `tail`, sets `asleep`.
 * Each clears the other's flag when it answers it with a bell.
 * Which word orders it: a record is written with plain stores and published by ONE store of `head`; the space of records is
 * given back by one store of `tail`. Both words run freely in 32 bits and are compared by `(a - b) | 0`.
 *
 * A record never splits: where it does not fit before the end, a record of kind `wrap` tells the reader to go to the start.
 *
 * No wake-up is lost, because each side says "I wait" and then looks again:
 *
 *     consumer: asleep = 1; load head  → something there? then awake after all
 *     producer: head = …;   load asleep → 1? swap it to 0 and ring
 *     producer: starved = 1; load tail  → enough now? then not starved after all
 *     consumer: tail = …;    load starved → 1? swap it to 0 and ring
 *
 * Payload views lie in live shared memory: never give one to a text decoder, `toString` or `Buffer.from(view)` plus decode;
 * pass it to a socket or copy the bytes first.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import type { Bell, RecordHeader, RingConsumer, RingProducer, SharedBytes } from './contract.ts';
import {
  Kind,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  RING_CONTROL_BYTES,
  RingWord,
  Word,
} from './layout.ts';
import { blankHeader } from './record-header.ts';

/** Four records of the largest payload, and one of 32 bytes of it, still make sense here. */
const capacityMin = 256;
const capacityMax = 2 ** 30;

/** A new ring of `bytes` (a power of two). `startIndex` (8-aligned) is where the indices start: tests go near their overflow. */
export function allocateRing(bytes: number, startIndex = 0): SharedBytes {
  must(isCapacity(bytes), `a ring of ${bytes} bytes: not a power of two from 256 to 2^30`);
  must(startIndex % RECORD_ALIGN === 0, 'a ring starts at a multiple of 8');
  const shared = new SharedArrayBuffer(RING_CONTROL_BYTES + bytes);
  const words = new Int32Array(shared);
  words[RingWord.head] = startIndex | 0;
  words[RingWord.tail] = startIndex | 0;
  return shared;
}

/** Opens the writing end. `bell` wakes the reader. */
export function ringProducer(
  shared: SharedBytes,
  bell: Bell,
  atomics: AtomicsPort = realAtomics,
): RingProducer {
  return new Producer(shared, bell, atomics);
}

/** Opens the reading end. `starvedBell` tells a producer that waits for space that there is some. */
export function ringConsumer(
  shared: SharedBytes,
  starvedBell?: Bell,
  atomics: AtomicsPort = realAtomics,
): RingConsumer {
  return new Consumer(shared, starvedBell, atomics);
}

function isCapacity(bytes: number): boolean {
  return bytes >= capacityMin && bytes <= capacityMax && (bytes & (bytes - 1)) === 0;
}

function capacityOf(shared: SharedBytes): number {
  const capacity = shared.byteLength - RING_CONTROL_BYTES;
  must(isCapacity(capacity), `no ring: ${shared.byteLength} bytes`);
  return capacity;
}

/** Bytes a record takes with its header and padding. */
function recordBytes(payloadBytes: number): number {
  return (RECORD_HEADER_BYTES + payloadBytes + (RECORD_ALIGN - 1)) & -RECORD_ALIGN;
}

class Producer implements RingProducer {
  readonly payloadBytesMax: number;
  readonly #shared: SharedBytes;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #bell: Bell;
  readonly #atomics: AtomicsPort;
  /** Mine: what I last published. */
  #head: number;
  /** As I last saw it: the real one can only be further. */
  #tail: number;
  /** Where the reserved record starts (free-running), and the most payload it may get. -1 = nothing reserved. */
  #start = 0;
  #reserved = -1;

  constructor(shared: SharedBytes, bell: Bell, atomics: AtomicsPort) {
    this.#capacity = capacityOf(shared);
    this.#mask = this.#capacity - 1;
    this.payloadBytesMax = this.#capacity / 4;
    this.#shared = shared;
    this.#words = new Int32Array(shared);
    this.#bytes = new Uint8Array(shared);
    this.#bell = bell;
    this.#atomics = atomics;
    this.#head = atomics.load(this.#words, RingWord.head);
    this.#tail = atomics.load(this.#words, RingWord.tail);
  }

  free(): number {
    this.#tail = this.#atomics.load(this.#words, RingWord.tail);
    const free = this.#capacity - ((this.#head - this.#tail) | 0);
    const toEnd = this.#capacity - (this.#head & this.#mask);
    const inOnePiece = free <= toEnd ? free : Math.max(toEnd, free - toEnd);
    return Math.max(0, Math.min(inOnePiece - RECORD_HEADER_BYTES, this.payloadBytesMax));
  }

  reserve(max: number): Uint8Array | undefined {
    if (!this.#claim(max)) return undefined;
    return new Uint8Array(this.#shared, this.#offset() + RECORD_HEADER_BYTES, max);
  }

  commit(header: Readonly<RecordHeader>): void {
    must(header.length <= this.#reserved, 'commit of more than was reserved');
    this.#publish(header, header.length);
  }

  abandon(): void {
    this.#reserved = -1;
  }

  write(header: Readonly<RecordHeader>, payload: Uint8Array): boolean {
    const length = payload.length;
    if (!this.#claim(length)) return false;
    this.#bytes.set(payload, this.#offset() + RECORD_HEADER_BYTES);
    this.#publish(header, length);
    return true;
  }

  /** Rings the reader's bell, once, if the reader sleeps. */
  #wakeReader(): void {
    const words = this.#words;
    if (this.#atomics.load(words, RingWord.asleep) === 0) return;
    if (this.#atomics.exchange(words, RingWord.asleep, 0) === 1) this.#bell.ring();
  }

  /** Reserves space for a payload, asking for a bell when there is none now. */
  #claim(max: number): boolean {
    must(this.#reserved < 0, 'one reservation at a time');
    must(max >= 0 && max <= this.payloadBytesMax, 'a payload over a quarter of the ring');
    const size = recordBytes(max);
    const toEnd = this.#capacity - (this.#head & this.#mask);
    const skipped = size > toEnd ? toEnd : 0;
    if (!this.#fits(skipped + size) && !this.#freed(skipped + size)) return false;
    this.#start = (this.#head + skipped) | 0;
    this.#reserved = max;
    return true;
  }

  #fits(bytes: number): boolean {
    return bytes <= this.#capacity - ((this.#head - this.#tail) | 0);
  }

  /** Looks at the real tail; without luck says "starved" and looks once more, so that no freed space goes unnoticed. */
  #freed(bytes: number): boolean {
    const words = this.#words;
    this.#tail = this.#atomics.load(words, RingWord.tail);
    if (this.#fits(bytes)) return true;
    this.#atomics.store(words, RingWord.starved, 1);
    this.#tail = this.#atomics.load(words, RingWord.tail);
    if (!this.#fits(bytes)) return false;
    this.#atomics.store(words, RingWord.starved, 0);
    return true;
  }

  /** Byte position of the reserved record in the buffer. */
  #offset(): number {
    return RING_CONTROL_BYTES + (this.#start & this.#mask);
  }

  #publish(header: Readonly<RecordHeader>, length: number): void {
    const words = this.#words;
    if (this.#start !== this.#head) this.#writeWrap();
    const at = this.#offset() >>> 2;
    words[at + Word.length] = length;
    words[at + Word.kindFlags] = (header.kind & 0xff) | ((header.flags & 0xffff) << 8);
    words[at + Word.slot] = header.slot;
    words[at + Word.generation] = header.generation;
    words[at + Word.stream] = header.stream;
    words[at + Word.sequence] = header.sequence;
    words[at + Word.aux0] = header.aux0;
    words[at + Word.aux1] = header.aux1;
    this.#head = (this.#start + recordBytes(length)) | 0;
    this.#reserved = -1;
    this.#atomics.store(words, RingWord.head, this.#head);
    this.#wakeReader();
  }

  #writeWrap(): void {
    const at = (RING_CONTROL_BYTES + (this.#head & this.#mask)) >>> 2;
    this.#words[at + Word.length] = 0;
    this.#words[at + Word.kindFlags] = Kind.wrap;
  }
}

class Consumer implements RingConsumer {
  readonly #shared: SharedBytes;
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #payloadBytesMax: number;
  readonly #starvedBell: Bell | undefined;
  readonly #atomics: AtomicsPort;
  /** As I last saw it: the real one can only be further. */
  #head: number;
  /** Mine: what I gave back, and how far I read. */
  #tail: number;
  #read: number;
  #inside = false;
  readonly #header = blankHeader();

  constructor(shared: SharedBytes, starvedBell: Bell | undefined, atomics: AtomicsPort) {
    this.#capacity = capacityOf(shared);
    this.#mask = this.#capacity - 1;
    this.#payloadBytesMax = this.#capacity / 4;
    this.#shared = shared;
    this.#words = new Int32Array(shared);
    this.#starvedBell = starvedBell;
    this.#atomics = atomics;
    this.#tail = atomics.load(this.#words, RingWord.tail);
    this.#read = this.#tail;
    this.#head = this.#tail;
  }

  drain(most: number, each: (header: RecordHeader, payload: Uint8Array) => void): number {
    must(this.#tail === this.#read, 'drain while a batch is not released');
    return this.#hand(most, each, true);
  }

  take(most: number, each: (header: RecordHeader, payload: Uint8Array) => void): number {
    return this.#hand(most, each, false);
  }

  release(): void {
    must(!this.#inside, 'release inside of a callback');
    this.#giveBack();
  }

  ready(): boolean {
    if (this.#read !== this.#head) return true;
    this.#head = this.#atomics.load(this.#words, RingWord.head);
    return this.#read !== this.#head;
  }

  sleep(): boolean {
    must(this.#tail === this.#read, 'sleep while a batch is not released');
    this.#atomics.store(this.#words, RingWord.asleep, 1);
    if (!this.ready()) return true;
    this.#atomics.store(this.#words, RingWord.asleep, 0);
    return false;
  }

  wake(): void {
    this.#atomics.store(this.#words, RingWord.asleep, 0);
  }

  #hand(
    most: number,
    each: (header: RecordHeader, payload: Uint8Array) => void,
    freeing: boolean,
  ): number {
    must(!this.#inside, 'a callback must not read the ring it is called from');
    this.#inside = true;
    const quarter = this.#payloadBytesMax;
    let handed = 0;
    try {
      while (handed < most && this.ready()) {
        const start = this.#next();
        if (start < 0) continue;
        handed += 1;
        each(this.#header, new Uint8Array(this.#shared, start, this.#header.length));
        if (freeing && ((this.#read - this.#tail) | 0) >= quarter) this.#giveBack();
      }
    } finally {
      this.#inside = false;
      if (freeing) this.#giveBack();
    }
    return handed;
  }

  /** Decodes the next record's header and steps over it. Where its payload starts, or -1 for a wrap. */
  #next(): number {
    const words = this.#words;
    const header = this.#header;
    const position = this.#read & this.#mask;
    const at = (RING_CONTROL_BYTES + position) >>> 2;
    const toEnd = this.#capacity - position;
    const kindFlags = words[at + Word.kindFlags];
    if ((kindFlags & 0xff) === Kind.wrap) {
      this.#read = (this.#read + toEnd) | 0;
      return -1;
    }
    const length = words[at + Word.length];
    must(length >= 0 && length <= this.#payloadBytesMax, 'a record longer than a record can be');
    const size = recordBytes(length);
    must(
      size <= toEnd && size <= ((this.#head - this.#read) | 0),
      'a record past what was written',
    );
    header.length = length;
    header.kind = kindFlags & 0xff;
    header.flags = (kindFlags >>> 8) & 0xffff;
    header.slot = words[at + Word.slot];
    header.generation = words[at + Word.generation];
    header.stream = words[at + Word.stream];
    header.sequence = words[at + Word.sequence];
    header.aux0 = words[at + Word.aux0];
    header.aux1 = words[at + Word.aux1];
    this.#read = (this.#read + size) | 0;
    return RING_CONTROL_BYTES + position + RECORD_HEADER_BYTES;
  }

  /** Gives everything read back by one store; rings when the producer waits for space. */
  #giveBack(): void {
    if (this.#tail === this.#read) return;
    this.#tail = this.#read;
    const words = this.#words;
    this.#atomics.store(words, RingWord.tail, this.#tail);
    if (this.#atomics.load(words, RingWord.starved) === 0) return;
    if (this.#atomics.exchange(words, RingWord.starved, 0) === 1) this.#starvedBell?.ring();
  }
}
