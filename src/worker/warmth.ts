/**
 * This worker's part of the sockets that wait at the upstreams: its share of `minConnections`, and not more than its upstream may have. Busy and idle ones of all workers
 * together stay within `maxConnections`: who has idle ones closes some when the others need the room.
 */
import type { UpstreamTable } from '../memory/contract.ts';
import { ShareWord } from '../memory/layout.ts';
import type { Transport, UpstreamAddress } from '../protocol/transport.ts';
import type { Upstream } from './route.ts';

export interface WarmthParts {
  readonly table: UpstreamTable;
  readonly transport: Transport;
  readonly worker: number;
  /** Its rows are another incarnation's by now. */
  isRetired(): boolean;
}

export class Warmth {
  readonly #parts: WarmthParts;
  /** Where sockets were kept at the last look. */
  #kept = new Map<string, UpstreamAddress>();

  constructor(parts: WarmthParts) {
    this.#parts = parts;
  }

  /** `stands`: streams may go there now. */
  look(
    all: readonly { readonly upstream: Upstream; readonly stands: boolean }[],
    warm: boolean,
  ): void {
    const { transport } = this.#parts;
    if (this.#parts.isRetired()) return;
    const former = this.#kept;
    this.#kept = new Map();
    // Several upstreams of one origin share its sockets.
    for (const group of byOrigin(all).values()) {
      const [{ upstream }] = group;
      let share = 0;
      for (const each of group) if (warm && each.stands) share += this.#share(each.upstream);
      former.delete(keyOf(upstream.address));
      if (share > 0) this.#kept.set(keyOf(upstream.address), upstream.address);
      transport.keep(upstream.address, share);
      this.#giveBack(group.map((each) => each.upstream));
    }
    for (const address of former.values()) transport.keep(address, 0);
  }

  /** One after the other, beginning at another worker for each upstream. */
  #share({ index, options: { minConnections, maxConnections } }: Upstream): number {
    const { worker, table } = this.#parts;
    const { workersMax } = table;
    const least = Math.min(minConnections, maxConnections);
    const turn = (worker + workersMax - (index % workersMax)) % workersMax;
    return Math.floor(least / workersMax) + (turn < least % workersMax ? 1 : 0);
  }

  #giveBack(group: readonly Upstream[]): void {
    const { table, transport, worker } = this.#parts;
    const [{ index: first, address }] = group;
    const own = transport.idle(address);
    table.setShare(first, worker, ShareWord.idleSockets, own);
    if (own === 0) return;
    let idle = 0;
    for (let each = 0; each < table.workersMax; each++)
      idle += table.share(first, each, ShareWord.idleSockets);
    let excess = idle;
    for (const { index, options } of group)
      excess += table.inFlight(index) - options.maxConnections;
    if (excess <= 0) return;
    // Each its part, at least one of them a whole one.
    const part = Math.min(own, Math.ceil((excess * own) / Math.max(idle, own)));
    transport.shed(address, part);
    table.setShare(first, worker, ShareWord.idleSockets, own - part);
  }
}

const keyOf = ({ origin, reader }: UpstreamAddress) => `${reader ?? ''} ${origin}`;

function byOrigin<T extends { readonly upstream: Upstream }>(
  all: readonly T[],
): Map<string, [T, ...T[]]> {
  const groups = new Map<string, [T, ...T[]]>();
  for (const each of all) {
    const key = keyOf(each.upstream.address);
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  return groups;
}
