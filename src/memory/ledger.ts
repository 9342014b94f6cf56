/**
 * One account of all bytes held for clients, over all threads.
 *
 *     shared (64 B)   ┌ total │ rings │ outbox │ replay │ history │ retained ┐   32-bit words, in KiB: up to 2 TiB
 *                     └──────────────────────────────────────────────────────┘
 *     a row a thread  │ (as above, without the total): that thread's share    │   so that a dead thread's share can be written off
 *                     └──────────────────────────────────────────────────────┘
 *     each handle     │  mine per account, exact bytes, possibly negative     │   plain numbers, never shared
 *
 * Two 32-bit words cannot be swapped at once and 64-bit atomics allocate a BigInt each, so the words count KiB. Nothing is
 * lost by rounding: a thread keeps its own exact bytes (what it took less what it gave, possibly more than it took) and the
 * shared word holds the sum of everyone's bytes, each rounded up to a KiB. So small bookings mostly touch no shared word,
 * giving what another thread took is exact, and the shared sum is over the truth by less than 1 KiB per thread and account.
 *
 * Who writes: every thread; a row its own thread, and main when that thread is dead. Which word orders it: `total`, by
 * compare-and-swap, so that it never passes the bound. A thread that dies between the words of one booking leaves that booking's
 * few KiB behind; it cannot make any word too small.
 */
import { must } from '../must.ts';
import { type AtomicsPort, realAtomics } from './atomics.ts';
import { type Ledger, type LedgerAccount, ledgerAccounts, type SharedBytes } from './contract.ts';

const unitBytes = 1024;
/** A row: the total's place (unused but in the first), the accounts, padding to a cache line. */
const rowWords = 16;
/** Word 0 is the total; the accounts follow in the order of `ledgerAccounts`. */
const totalWord = 0;

/** `rows`: threads that book, by their row. */
export function allocateLedger(rows = 1): SharedBytes {
  return new SharedArrayBuffer(4 * rowWords * (1 + rows));
}

/** A thread is dead: what it had taken and not given back is no longer held by anyone. Call once, before its row is used again. */
export function writeOffLedger(shared: SharedBytes, row: number): void {
  const words = new Int32Array(shared);
  const start = shareOf(words, row);
  for (let word = 1; word <= ledgerAccounts.length; word++) {
    const left = realAtomics.exchange(words, start + word, 0);
    realAtomics.sub(words, word, left);
    realAtomics.sub(words, totalWord, left);
  }
}

function shareOf(words: Int32Array, row: number): number {
  const start = rowWords * (1 + row);
  must(row >= 0 && start + rowWords <= words.length, 'a ledger row that does not exist');
  return start;
}

/** `totalMax` in bytes, at most 2^41 - 1024. One handle per thread and row. */
export function openLedger(
  shared: SharedBytes,
  totalMax: number,
  row = 0,
  atomics: AtomicsPort = realAtomics,
): Ledger {
  return new Book(shared, totalMax, row, atomics);
}

function units(bytes: number): number {
  return Math.ceil(bytes / unitBytes);
}

class Book implements Ledger {
  readonly #words: Int32Array;
  #totalMax = 0;
  readonly #atomics: AtomicsPort;
  /** Where this thread's row begins. */
  readonly #share: number;
  /** Exact bytes booked by this thread, by account word. */
  readonly #mine = new Float64Array(1 + ledgerAccounts.length);
  readonly #wordOf: Readonly<Record<LedgerAccount, number>>;

  constructor(shared: SharedBytes, totalMax: number, row: number, atomics: AtomicsPort) {
    this.#words = new Int32Array(shared);
    this.#share = shareOf(this.#words, row);
    this.bound(totalMax);
    this.#atomics = atomics;
    this.#wordOf = Object.fromEntries(
      ledgerAccounts.map((account, at) => [account, at + 1]),
    ) as Record<LedgerAccount, number>;
  }

  bound(totalMax: number): void {
    must(totalMax >= 0 && units(totalMax) < 2 ** 31, 'a ledger of at most 2^41 bytes');
    this.#totalMax = totalMax;
  }

  take(account: LedgerAccount, bytes: number): boolean {
    must(bytes >= 0, 'take of a negative number of bytes');
    const word = this.#wordOf[account];
    const more = units(this.#mine[word] + bytes) - units(this.#mine[word]);
    if (!this.#book(more, bytes)) return false;
    if (more > 0) {
      this.#atomics.add(this.#words, word, more);
      this.#atomics.add(this.#words, this.#share + word, more);
    }
    this.#mine[word] += bytes;
    return true;
  }

  give(account: LedgerAccount, bytes: number): void {
    must(bytes >= 0, 'give of a negative number of bytes');
    const word = this.#wordOf[account];
    const less = units(this.#mine[word]) - units(this.#mine[word] - bytes);
    this.#mine[word] -= bytes;
    if (less === 0) return;
    this.#atomics.sub(this.#words, this.#share + word, less);
    const before = this.#atomics.sub(this.#words, word, less);
    must(before >= less, `more given back to ${account} than was taken`);
    this.#atomics.sub(this.#words, totalWord, less);
  }

  held(account: LedgerAccount): number {
    const word = this.#wordOf[account];
    return this.#atomics.load(this.#words, word) * unitBytes - this.#slack(word);
  }

  total(): number {
    return this.#exact(this.#atomics.load(this.#words, totalWord));
  }

  /** Adds `more` units to the total when the exact total with `bytes` stays within the bound. */
  #book(more: number, bytes: number): boolean {
    let seen = this.#atomics.load(this.#words, totalWord);
    for (;;) {
      if (this.#exact(seen) + bytes > this.#totalMax) return false;
      if (more === 0) return true;
      const was = this.#atomics.compareExchange(this.#words, totalWord, seen, seen + more);
      if (was === seen) return true;
      seen = was;
    }
  }

  /** The total in bytes, without what rounding added for this thread. */
  #exact(totalUnits: number): number {
    let bytes = totalUnits * unitBytes;
    for (let word = 1; word < this.#mine.length; word++) bytes -= this.#slack(word);
    return bytes;
  }

  /** What rounding up added to an account for this thread. */
  #slack(word: number): number {
    return units(this.#mine[word]) * unitBytes - this.#mine[word];
  }
}
