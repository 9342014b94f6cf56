/**
 * The options in force, and how changed ones take their place while everything runs: main's own parts at once, then the coordinator, which
 * writes the upstreams' rows, then the workers, which begin new streams by them. A thread that dies meanwhile is replaced by one that
 * starts with the newest.
 */
import { MillraceError } from '../errors.ts';
import type { UpstreamTable } from '../memory/contract.ts';
import { UpstreamWord } from '../memory/layout.ts';
import { must } from '../must.ts';
import type { Options } from '../options/schema.ts';
import type { UpstreamRoster } from '../policy/upstream-roster.ts';
import type { Configuration } from '../threads/messages.ts';
import type { Tally } from './tally.ts';

/** A part of main that follows changed options. */
export interface Follower {
  reconfigure(options: Options): void;
}

/** Those who tell the other threads. */
export interface Followed {
  readonly coordination: { configure(configuration: Configuration): Promise<void> };
  readonly crew: { configure(configuration: Configuration): void };
}

export class Configured {
  readonly #roster: UpstreamRoster;
  readonly #table: UpstreamTable;
  readonly #tally: Tally;
  readonly #followers: Follower[] = [];
  #now: Configuration;

  constructor(options: Options, roster: UpstreamRoster, table: UpstreamTable, tally: Tally) {
    this.#roster = roster;
    this.#table = table;
    this.#tally = tally;
    const placed = roster.place(options.upstreams, 1, () => true);
    must(placed, 'rows for as many upstreams as the options allow');
    this.#now = { epoch: 1, options, seats: placed.seats };
  }

  get now(): Configuration {
    return this.#now;
  }

  /** Names of upstreams by row, for whoever shows what was counted there. */
  names(): readonly string[] {
    return this.#roster.names();
  }

  /** Rows of removed upstreams that nobody else has got yet. */
  left(): readonly { row: number; name: string }[] {
    return this.#roster.left();
  }

  /** Called with every change, in the order of joining. */
  join(...followers: readonly Follower[]): void {
    this.#followers.push(...followers);
  }

  /**
   * Puts checked options into force. Everything on main holds when this returns; the promise settles when the other threads were told.
   *
   * @throws MILLRACE_UPSTREAM_ROWS_FULL; nothing was changed then.
   */
  change(options: Options, { coordination, crew }: Followed): Promise<void> {
    const epoch = this.#now.epoch + 1;
    const placed = this.#roster.place(options.upstreams, epoch, (row) => this.#isIdle(row));
    if (!placed) {
      const needed = options.upstreams.length;
      throw new MillraceError('MILLRACE_UPSTREAM_ROWS_FULL', { needed });
    }
    const names = this.#roster.names();
    for (const { row, from } of placed.handovers) {
      const heir = names.findIndex((name, other) => name === from && other !== row);
      this.#tally.handOver(row, heir < 0 ? undefined : heir);
    }
    const configuration: Configuration = { epoch, options, seats: placed.seats };
    this.#now = configuration;
    for (const follower of this.#followers) follower.reconfigure(options);
    return coordination.configure(configuration).then(() => crew.configure(configuration));
  }

  /** Nothing runs there, and no worker may begin anything. */
  #isIdle(row: number): boolean {
    return this.#table.get(row, UpstreamWord.present) === 0 && this.#table.inFlight(row) === 0;
  }
}
