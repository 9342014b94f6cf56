/**
 * Who of a session's requests runs: one per lane, first come first served inside a lane, a bound on running and on waiting ones
 * over all lanes. When the running bound is what holds requests back, lanes take turns in the order they became ready.
 */

export interface LaneBounds {
  readonly runningMax: number;
  readonly queuedMax: number;
}

interface Lane<T> {
  running: T | undefined;
  readonly queue: T[];
  /** In the ready list. */
  ready: boolean;
}

export class Lanes<T> {
  readonly #bounds: LaneBounds;
  readonly #lanes = new Map<string, Lane<T>>();
  readonly #ready: string[] = [];
  #running = 0;
  #queued = 0;

  constructor(bounds: LaneBounds) {
    this.#bounds = bounds;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queued;
  }

  /** A request arrives: 'run' = it holds its lane from now on; 'full' = refuse it, nothing was kept. */
  admit(name: string, item: T): 'run' | 'queued' | 'full' {
    const lane = this.#lanes.get(name);
    const free = lane === undefined || (lane.running === undefined && lane.queue.length === 0);
    if (free && this.#running < this.#bounds.runningMax) {
      this.#start(name, lane ?? this.#make(name), item);
      return 'run';
    }
    if (this.#queued >= this.#bounds.queuedMax) return 'full';
    const waiting = lane ?? this.#make(name);
    waiting.queue.push(item);
    this.#queued += 1;
    this.#offer(name, waiting);
    return 'queued';
  }

  /** The lane's running request is over. */
  done(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane?.running === undefined) return;
    lane.running = undefined;
    this.#running -= 1;
    this.#offer(name, lane);
    this.#forget(name, lane);
  }

  /** Takes the next request that may run now, and makes it running. Call until undefined. */
  take(): T | undefined {
    while (this.#running < this.#bounds.runningMax) {
      const name = this.#ready.shift();
      if (name === undefined) return undefined;
      const lane = this.#lanes.get(name);
      if (!lane) continue;
      lane.ready = false;
      const item = lane.queue.shift();
      if (item === undefined) continue;
      this.#queued -= 1;
      this.#start(name, lane, item);
      return item;
    }
    return undefined;
  }

  /** Takes a waiting request out of its queue. False when it does not wait there. */
  remove(name: string, item: T): boolean {
    const lane = this.#lanes.get(name);
    const at = lane ? lane.queue.indexOf(item) : -1;
    if (!lane || at < 0) return false;
    lane.queue.splice(at, 1);
    this.#queued -= 1;
    this.#forget(name, lane);
    return true;
  }

  /** What a lane holds: the running one first. */
  on(name: string): T[] {
    const lane = this.#lanes.get(name);
    if (!lane) return [];
    return lane.running === undefined ? [...lane.queue] : [lane.running, ...lane.queue];
  }

  /** Everything, running ones first in each lane. */
  all(): T[] {
    return [...this.#lanes.keys()].flatMap((name) => this.on(name));
  }

  #make(name: string): Lane<T> {
    const lane: Lane<T> = { running: undefined, queue: [], ready: false };
    this.#lanes.set(name, lane);
    return lane;
  }

  #start(name: string, lane: Lane<T>, item: T): void {
    lane.running = item;
    this.#running += 1;
    this.#lanes.set(name, lane);
  }

  #offer(name: string, lane: Lane<T>): void {
    if (lane.ready || lane.running !== undefined || lane.queue.length === 0) return;
    lane.ready = true;
    this.#ready.push(name);
  }

  /** A lane without requests costs nothing. */
  #forget(name: string, lane: Lane<T>): void {
    if (lane.running !== undefined || lane.queue.length > 0) return;
    this.#lanes.delete(name);
    if (!lane.ready) return;
    this.#ready.splice(this.#ready.indexOf(name), 1);
  }
}
