/** What balancers look at, read from the shared table. */
import type { UpstreamTable } from '../memory/contract.ts';
import { ShareWord } from '../memory/layout.ts';
import type { Loads } from '../policy/balance/balancer.ts';
import { faded, observed } from '../policy/balance/peak-ewma.ts';

/** Rounds of one worker: one per model, shared by those that fall on the same. */
const CURSORS = 256;

export class TableLoads implements Loads {
  readonly #table: UpstreamTable;
  readonly #worker: number;

  readonly #cursors = new Uint32Array(CURSORS);

  /** Every worker begins its rounds elsewhere, or all would meet at the first upstream. */
  constructor(table: UpstreamTable, worker: number) {
    this.#table = table;
    this.#worker = worker;
    this.#cursors.fill(worker * 0x9e3779b1);
  }

  turn(key: number): number {
    return this.#cursors[key & (CURSORS - 1)]++;
  }

  inFlight(upstream: number): number {
    return this.#table.inFlight(upstream);
  }

  inFlightOf(upstreams: readonly number[], into: Float64Array): void {
    this.#table.inFlightOf(upstreams, into);
  }

  weight(upstream: number): number {
    return this.#table.weight(upstream);
  }

  epoch(): number {
    return this.#table.glance();
  }

  /** The worst that any worker remembers: each sees a part of the answers, and slowness that one has met is true for all. */
  firstTokenUs(upstream: number, nowMs: number): number {
    let worst = 0;
    for (let worker = 0; worker < this.#table.workersMax; worker++) {
      const us = this.#table.share(upstream, worker, ShareWord.firstTokenUs);
      if (us === 0) continue;
      worst = Math.max(worst, faded(us, this.#sinceMs(upstream, worker, nowMs)));
    }
    return worst;
  }

  /** This worker saw a first token after so long. */
  observe(upstream: number, us: number, nowMs: number): void {
    const worker = this.#worker;
    const before = this.#table.share(upstream, worker, ShareWord.firstTokenUs);
    const average = observed(before, this.#sinceMs(upstream, worker, nowMs), us);
    const bounded = Math.min(2 ** 31 - 1, Math.max(1, Math.round(average)));
    this.#table.setShare(upstream, worker, ShareWord.firstTokenUs, bounded);
    this.#table.setShare(upstream, worker, ShareWord.firstTokenAt, nowMs | 0);
  }

  #sinceMs(upstream: number, worker: number, nowMs: number): number {
    return ((nowMs | 0) - this.#table.share(upstream, worker, ShareWord.firstTokenAt)) | 0;
  }
}
