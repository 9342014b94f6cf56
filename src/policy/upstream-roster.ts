/**
 * Which row of the shared tables belongs to which upstream, over all changes of the configuration. Pure; main alone keeps one.
 *
 * A row is an upstream's name, provider and URL: whoever changes one of these is another upstream and gets another row, and its
 * former row drains. What else changes (key, models, weight, …) leaves the row as it is. A removed upstream's row stays its own
 * until another needs it, and only a row where nothing runs is given away, the one that was left longest ago first.
 */
import type { UpstreamOptions } from '../options/schema.ts';

/** An upstream's row, and the epoch of the configuration that gave it: a row that carries another epoch is somebody else's by now. */
export interface Seat {
  readonly row: number;
  readonly since: number;
}

/** A row that was another upstream's before. */
export interface Handover {
  readonly row: number;
  readonly from: string;
  readonly to: string;
}

export interface Placement {
  /** One for each upstream, in the order of the options. */
  readonly seats: readonly Seat[];
  readonly handovers: readonly Handover[];
}

interface Row {
  identity: string;
  name: string;
  since: number;
  /** 0: its upstream is configured now; otherwise the epoch that removed it. */
  leftAt: number;
}

export class UpstreamRoster {
  readonly #rows: (Row | undefined)[];

  constructor(rowsMax: number) {
    this.#rows = new Array<Row | undefined>(rowsMax).fill(undefined);
  }

  /** By row: the name of the upstream that has it, or had it last; '' for a row that was never used. */
  names(): string[] {
    return this.#rows.map((row) => row?.name ?? '');
  }

  /** Rows of upstreams that are no longer configured, and that nobody else has got yet. */
  left(): { row: number; name: string }[] {
    return this.#rows.flatMap((each, row) =>
      each && each.leftAt !== 0 ? [{ row, name: each.name }] : [],
    );
  }

  /**
   * Rows for a changed configuration; epochs grow. `isIdle` says whether nothing runs on a row. Undefined when too few rows are free:
   * then nothing has changed.
   */
  place(
    upstreams: readonly Pick<UpstreamOptions, 'name' | 'provider' | 'url'>[],
    epoch: number,
    isIdle: (row: number) => boolean,
  ): Placement | undefined {
    const identities = upstreams.map(identityOf);
    const rows = identities.map((identity) => this.#rowOf(identity));
    const spare = this.#spare(new Set(rows), isIdle);
    if (spare.length < rows.filter((row) => row < 0).length) return undefined;
    const taken = new Set<number>();
    const handovers: Handover[] = [];
    const seats = upstreams.map(({ name }, at) => {
      const row = rows[at] < 0 ? (spare.shift() as number) : rows[at];
      taken.add(row);
      const former = this.#rows[row];
      if (former?.identity === identities[at] && former.leftAt === 0) {
        return { row, since: former.since };
      }
      if (former && former.identity !== identities[at]) {
        handovers.push({ row, from: former.name, to: name });
      }
      this.#rows[row] = { identity: identities[at], name, since: epoch, leftAt: 0 };
      return { row, since: epoch };
    });
    for (const [row, each] of this.#rows.entries()) {
      if (each?.leftAt === 0 && !taken.has(row)) each.leftAt = epoch;
    }
    return { seats, handovers };
  }

  #rowOf(identity: string): number {
    return this.#rows.findIndex((row) => row?.identity === identity);
  }

  /** Never used rows first, then those whose upstream left longest ago: a name keeps its counts as long as it can. */
  #spare(kept: ReadonlySet<number>, isIdle: (row: number) => boolean): number[] {
    const free = [...this.#rows.entries()].filter(
      ([row, each]) => !kept.has(row) && (!each || (each.leftAt !== 0 && isIdle(row))),
    );
    free.sort(([, a], [, b]) => (a?.leftAt ?? 0) - (b?.leftAt ?? 0));
    return free.map(([row]) => row);
  }
}

function identityOf({ name, provider, url }: Pick<UpstreamOptions, 'name' | 'provider' | 'url'>) {
  return JSON.stringify([name, provider, url]);
}
