/**
 * The rows of the upstream table, as the coordinator writes them: what the configuration says, what probes found, what an operator
 * wants. Workers read them and never wait for us; a coordinator that replaces another takes the rows over as they are.
 */
import { MillraceError } from '../errors.ts';
import type { UpstreamTable } from '../memory/contract.ts';
import { UpstreamWord } from '../memory/layout.ts';
import type { UpstreamOptions } from '../options/schema.ts';
import { Health } from '../policy/health.ts';

/** Generation of the configuration: it does not change while the engine runs. */
const EPOCH = 1;

export class Board {
  readonly #table: UpstreamTable;
  readonly #upstreams: readonly UpstreamOptions[];

  constructor(table: UpstreamTable, upstreams: readonly UpstreamOptions[]) {
    this.#table = table;
    this.#upstreams = upstreams;
  }

  /** Writes what is new, leaves what a former coordinator, workers or an operator have put there. */
  write(): void {
    for (const [index, { weight, maxConnections }] of this.#upstreams.entries()) {
      const isNew = this.#table.get(index, UpstreamWord.present) === 0;
      this.#table.set(index, UpstreamWord.weight, weight);
      this.#table.set(index, UpstreamWord.capacity, maxConnections);
      this.#table.set(index, UpstreamWord.epoch, EPOCH);
      if (!isNew) continue;
      this.#table.set(index, UpstreamWord.health, Health.unknown);
      this.#table.set(index, UpstreamWord.drained, 0);
      // Last: workers choose among rows that are present.
      this.#table.set(index, UpstreamWord.present, 1);
    }
    this.#table.bump();
  }

  health(index: number): number {
    return this.#table.get(index, UpstreamWord.health);
  }

  /** What the last probe said. It says nothing about circuits: a server may answer probes and fail answers. */
  probed(index: number, health: number): void {
    if (this.health(index) === health) return;
    this.#table.set(index, UpstreamWord.health, health);
    this.#table.bump();
  }

  /** Takes an upstream out of choice by hand, or back in; its running streams finish. Throws for an unknown name. */
  drain(name: string, drained: boolean): void {
    const index = this.#upstreams.findIndex((upstream) => upstream.name === name);
    if (index < 0) {
      const names = this.#upstreams.map((upstream) => upstream.name).join(', ');
      const expected = names === '' ? 'a configured upstream (there is none)' : `one of ${names}`;
      throw new MillraceError('MILLRACE_FIELD_INVALID', { path: 'upstream', expected, got: name });
    }
    this.#table.set(index, UpstreamWord.drained, drained ? 1 : 0);
    this.#table.bump();
  }

  /** Zeroes what a dead worker left in its rows. False when that incarnation holds none. */
  reclaim(worker: number, generation: number): boolean {
    return this.#table.reclaim(worker, generation);
  }
}
