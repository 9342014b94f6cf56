/** A stream's place at an upstream: taken with its circuit's leave, given back exactly once with what became of it. */
import type { Code, MillraceError } from '../errors.ts';
import type { CircuitCell } from '../memory/contract.ts';
import {
  type Admitted,
  abstained,
  type CircuitChange,
  standing,
  succeeded,
} from '../policy/circuit.ts';

/** 'neither': the client left or asked for nonsense, or a limit was met: the upstream is not to blame. */
export type PlaceOutcome = 'succeeded' | 'failed' | 'neither';

export interface PlaceKeeper {
  /** The row is left alone when another incarnation of the worker has taken it over. */
  leave(upstream: number, outcome: PlaceOutcome): void;
  /** Did the circuit's transition come from this verdict? Then it is said. */
  changed(upstream: number, model: string, change: CircuitChange): void;
  failure(upstream: number, model: string, cell: CircuitCell, admitted: Admitted): CircuitChange;
  wallMs(): number;
  observe(upstream: number, firstTokenMs: number): void;
}

export class Place {
  readonly upstream: number;
  readonly #model: string;
  readonly #cell: CircuitCell;
  readonly #keeper: PlaceKeeper;
  #admitted: Admitted;
  #left = false;
  #passed = false;

  constructor(
    upstream: number,
    model: string,
    cell: CircuitCell,
    admitted: Admitted,
    keeper: PlaceKeeper,
  ) {
    this.upstream = upstream;
    this.#model = model;
    this.#cell = cell;
    this.#admitted = admitted;
    this.#keeper = keeper;
  }

  /** The upstream has shown that it answers: a probe has passed, whatever comes later. */
  firstToken(afterMs: number): void {
    if (this.#passed || this.#left) return;
    this.#passed = true;
    const change = succeeded(this.#cell, this.#admitted, this.#keeper.wallMs());
    this.#keeper.observe(this.upstream, afterMs);
    // What fails from here on counts against the circuit as it is now.
    if (this.#admitted.probe) this.#admitted = standing(this.#cell);
    this.#keeper.changed(this.upstream, this.#model, change);
  }

  leave(outcome: PlaceOutcome): void {
    if (this.#left) return;
    this.#left = true;
    if (outcome === 'succeeded') this.#succeed();
    else if (outcome === 'failed') {
      const change = this.#keeper.failure(this.upstream, this.#model, this.#cell, this.#admitted);
      this.#keeper.changed(this.upstream, this.#model, change);
    } else if (!this.#passed) abstained(this.#cell, this.#admitted);
    this.#keeper.leave(this.upstream, outcome);
  }

  /** An answer without any content is a good one too. */
  #succeed(): void {
    if (this.#passed) return;
    const change = succeeded(this.#cell, this.#admitted, this.#keeper.wallMs());
    this.#keeper.changed(this.upstream, this.#model, change);
  }
}

const blameless: ReadonlySet<Code> = new Set<Code>([
  'MILLRACE_UPSTREAM_LIMITED',
  'MILLRACE_UPSTREAM_REJECTED',
  'MILLRACE_OVERLOADED',
  'MILLRACE_OUTPUT_TOO_LARGE',
  'MILLRACE_INTERNAL',
]);

/** A limit and a request that the upstream rightly refused do not speak against the upstream. */
export function blame(error: MillraceError): PlaceOutcome {
  return blameless.has(error.code) ? 'neither' : 'failed';
}
