/**
 * Watches the bytes held for clients and the lag of main's own loop, and says when new work is refused. It looks often only while
 * requests are open: an idle main is woken by the sweep alone.
 */
import { MillraceError } from '../errors.ts';
import type { Ledger, Slab, ThreadCells } from '../memory/contract.ts';
import { SLAB_BLOCK_BYTES } from '../memory/slab.ts';
import type { Options } from '../options/schema.ts';
import { OVERLOAD_WAIT_MS, OverloadJudge, overloadBounds } from '../policy/overload.ts';
import type { Clock, Ticker } from '../policy/ports.ts';
import { MAIN_ROW, WORKER_ROW } from '../threads/roster.ts';
import type { Counts } from './counts.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './session.ts';

const LOOK_MS = 100;

export interface OverloadParts {
  readonly options: Options;
  readonly workers: number;
  readonly ledger: Ledger;
  readonly slab: Slab;
  readonly cells: ThreadCells;
  readonly counts: Counts;
  readonly requests: Requests;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly ticker: Ticker;
}

export class Overload {
  readonly #parts: OverloadParts;
  readonly #judge = new OverloadJudge();
  #options: Options;
  #bound = 0;
  #bufferedBytes = 0;
  #cancel: (() => void) | undefined = undefined;

  constructor(parts: OverloadParts) {
    this.#parts = parts;
    this.#options = parts.options;
  }

  reconfigure(options: Options): void {
    this.#options = options;
  }

  /** The option whose bound is met; undefined: none. */
  get bound(): string | undefined {
    const bound = this.#bound || this.#workersBound();
    return bound === 0 ? undefined : overloadBounds[bound];
  }

  /** What every worker refuses new turns for; 0 while one takes them. */
  #workersBound(): number {
    const { cells, workers } = this.#parts;
    let bound = 0;
    for (let worker = 0; worker < workers; worker++) {
      bound = cells.refusing(WORKER_ROW + worker);
      if (bound === 0) return 0;
    }
    return bound;
  }

  /** What a handshake is told now; undefined: it may come. */
  handshake(): MillraceError | undefined {
    const { bound } = this;
    if (bound === undefined) return undefined;
    return new MillraceError('MILLRACE_BUSY', { bound, waitMs: OVERLOAD_WAIT_MS });
  }

  /** A request begins: from here on it looks often, until none is open. */
  wake(): void {
    if (!this.#cancel) this.#later();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The sweep's look, about once a second: also at what sockets hold. */
  sweep(): void {
    const { sessions } = this.#parts;
    this.#bufferedBytes = 0;
    sessions.slice(0, sessions.used, (session) => {
      if (session.fullSinceMs !== 0) this.#bufferedBytes += session.connection.buffered();
    });
    this.#look();
  }

  #later(): void {
    const { clock, ticker } = this.#parts;
    const dueMs = clock.now() + LOOK_MS;
    this.#cancel = ticker.after(LOOK_MS, () => {
      this.#judge.late(clock.now() - dueMs);
      this.#look();
      this.#cancel = undefined;
      if (this.#parts.requests.count > 0 || this.#bound !== 0) this.#later();
      else this.#judge.rested();
    });
  }

  #look(): void {
    const { cells, counts, clock } = this.#parts;
    const { memoryBytesMax, refuseAboveShare } = this.#options.memory;
    const bounds = { share: refuseAboveShare, lagMs: this.#options.server.loopLagMsMax };
    const heldBytes = this.#heldBytes();
    const bound = this.#judge.decide(heldBytes / memoryBytesMax, bounds, clock.now());
    counts.load(heldBytes, bound !== 0);
    if (bound === this.#bound) return;
    this.#bound = bound;
    // Workers refuse turns by this word: only they can tell a turn from a cancel.
    cells.setRefusing(MAIN_ROW, bound);
  }

  #heldBytes(): number {
    const { ledger, slab, workers } = this.#parts;
    const rings = 2 * workers * this.#options.memory.ringBytes;
    return rings + ledger.total() + slab.taken() * SLAB_BLOCK_BYTES + this.#bufferedBytes;
  }
}
