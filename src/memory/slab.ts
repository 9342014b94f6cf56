/**
 * Space for payloads too large for a ring record: blocks of 64 KiB in memory that outlives every worker. The ring carries a
 * ticket (first block, length), so the order of the ring stays the order of the payloads.
 *
 *     ┌─ head (64 B) ─┬─ owners ──────────┬─ claims ──────────┬─ blocks (64 KiB each, from a 4 KiB edge) ┐
 *     │ blocks, hint  │ one word a block  │ one word a block  │ ▒▒▒▒▒▒▒▒│        │▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒│      │
 *     └───────────────┴───────────────────┴───────────────────┴──────────────────────────────────────────┘
 *       owners:  0 = free, else the generation in whose name the block is held
 *       claims:  at a claim's first block its length + 1, else 0
 *
 * Who writes: any thread claims (compare-and-swap of owner words, 0 → owner); the consumer frees; main sweeps for the dead.
 * Which word orders it: the payload itself is ordered by the `head` of the ring that carries the ticket, its reuse by the
 * owner words: a block is written only between its swap to an owner and the store of 0.
 *
 * There is no lock: a thread that dies between two words leaves blocks in its generation's name, and `sweep` finds those.
 * Pages are touched only when used; the memory comes zeroed from the system and is never filled.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import type { SharedBytes, Slab, Ticket } from './contract.ts';

export const SLAB_BLOCK_BYTES = 64 * 1024;
const HeadWord = { blocks: 0, hint: 1 } as const;
const headWords = 16;
const pageBytes = 4096;

/** Where the blocks begin: after the head and two words a block. */
function dataStart(blocks: number): number {
  return Math.ceil((4 * (headWords + 2 * blocks)) / pageBytes) * pageBytes;
}

/** A slab of at least `bytes`, in whole blocks. */
export function allocateSlab(bytes: number): SharedBytes {
  must(bytes >= 0, 'a slab of negative size');
  const blocks = Math.ceil(bytes / SLAB_BLOCK_BYTES);
  const shared = new SharedArrayBuffer(dataStart(blocks) + blocks * SLAB_BLOCK_BYTES);
  new Int32Array(shared)[HeadWord.blocks] = blocks;
  return shared;
}

export function openSlab(shared: SharedBytes, atomics: AtomicsPort = realAtomics): Slab {
  return new BlockSlab(shared, atomics);
}

class BlockSlab implements Slab {
  readonly bytes: number;
  readonly #shared: SharedBytes;
  readonly #words: Int32Array;
  readonly #blocks: number;
  readonly #owners = headWords;
  readonly #claims: number;
  readonly #data: number;
  readonly #atomics: AtomicsPort;

  constructor(shared: SharedBytes, atomics: AtomicsPort) {
    const blocks = new Int32Array(shared, 0, headWords)[HeadWord.blocks];
    must(shared.byteLength === dataStart(blocks) + blocks * SLAB_BLOCK_BYTES, 'no slab');
    this.bytes = blocks * SLAB_BLOCK_BYTES;
    this.#shared = shared;
    this.#blocks = blocks;
    this.#claims = headWords + blocks;
    this.#data = dataStart(blocks);
    this.#words = new Int32Array(shared, 0, headWords + 2 * blocks);
    this.#atomics = atomics;
  }

  claim(length: number, owner: number): Ticket | undefined {
    must(length >= 0 && Number.isInteger(length), 'a claim of a length that is none');
    must(owner !== 0 && (owner | 0) === owner, 'blocks are claimed in the name of a generation');
    const count = blocksFor(length);
    if (count > this.#blocks) return undefined;
    const hint = this.#atomics.load(this.#words, HeadWord.hint);
    let block = this.#search(hint, this.#blocks, count, owner);
    // From the start too, up to a run that begins right before the hint.
    if (block < 0) {
      block = this.#search(0, Math.min(this.#blocks, hint + count - 1), count, owner);
    }
    if (block < 0) return undefined;
    this.#atomics.store(this.#words, this.#claims + block, length + 1);
    this.#atomics.store(this.#words, HeadWord.hint, (block + count) % this.#blocks);
    return { block, length };
  }

  view(ticket: Ticket): Uint8Array {
    const { block, length } = this.#checked(ticket);
    return new Uint8Array(this.#shared, this.#data + block * SLAB_BLOCK_BYTES, length);
  }

  free(ticket: Ticket): void {
    const { block, length } = this.#checked(ticket);
    const claimed = this.#atomics.exchange(this.#words, this.#claims + block, 0);
    must(claimed === length + 1, 'a ticket freed twice, or never claimed');
    for (let at = block; at < block + blocksFor(length); at++) {
      this.#atomics.store(this.#words, this.#owners + at, 0);
    }
  }

  sweep(owner: number): number {
    must(owner !== 0, 'free blocks have no owner to sweep for');
    let freed = 0;
    for (let at = 0; at < this.#blocks; at++) {
      if (this.#atomics.load(this.#words, this.#owners + at) !== owner) continue;
      this.#atomics.store(this.#words, this.#claims + at, 0);
      this.#atomics.store(this.#words, this.#owners + at, 0);
      freed += 1;
    }
    return freed;
  }

  taken(): number {
    let taken = 0;
    for (let at = 0; at < this.#blocks; at++) {
      if (this.#atomics.load(this.#words, this.#owners + at) !== 0) taken += 1;
    }
    return taken;
  }

  /** First block of `count` neighbours between `from` and `to` that are now the owner's, or -1. */
  #search(from: number, to: number, count: number, owner: number): number {
    let got = 0;
    for (let at = from; at < to; at++) {
      // A run begins only where it can end, so none is left over at the end of the loop.
      if (got === 0 && at + count > to) return -1;
      if (this.#atomics.compareExchange(this.#words, this.#owners + at, 0, owner) === 0) {
        got += 1;
        if (got === count) return at - count + 1;
      } else {
        this.#drop(at - got, at);
        got = 0;
      }
    }
    return -1;
  }

  /** Gives back blocks that turned out to be too few in one piece. */
  #drop(from: number, to: number): void {
    for (let at = from; at < to; at++) this.#atomics.store(this.#words, this.#owners + at, 0);
  }

  #checked(ticket: Ticket): Ticket {
    const { block, length } = ticket;
    must(
      block >= 0 && length >= 0 && block + blocksFor(length) <= this.#blocks,
      'a ticket outside of the slab',
    );
    return ticket;
  }
}

/** A claim of nothing still takes a block: its ticket names something. */
function blocksFor(length: number): number {
  return Math.max(1, Math.ceil(length / SLAB_BLOCK_BYTES));
}
