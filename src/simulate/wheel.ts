/**
 * One timer for all streams. A task lies in the slot of its time; the wheel sleeps until the next occupied slot, so an idle server
 * wakes nobody and ten thousand streams cost one timer.
 *
 *   slots   [ | |t|t,t| | |t| … ]   SLOTS of TICK_MS each; a task further ahead than one turn stays in its slot
 *                 ▲ cursor          until a later turn
 */
import { must } from '../must.ts';

const TICK_MS = 2;
const SLOTS = 512;

export interface Timed {
  /** Called once, at or after its time. */
  run(nowMs: number): void;
}

interface Entry {
  readonly tick: number;
  task: Timed | undefined;
}

/** Takes a task back; does nothing once it has run. */
export type Cancel = () => void;

export class Wheel {
  readonly #slots: Entry[][] = Array.from({ length: SLOTS }, () => []);
  readonly #clock: () => number;
  #cursor: number;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Tick that #timer wakes at. */
  #wake = 0;
  #turning = false;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#cursor = this.#tickOf(clock());
  }

  now(): number {
    return this.#clock();
  }

  /** Tasks not run yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Runs `task` at `dueMs` (of `now()`), to the tick; a time in the past means the next tick. */
  at(dueMs: number, task: Timed): Cancel {
    must(Number.isFinite(dueMs), 'a task has a time');
    if (this.#waiting === 0 && !this.#turning) this.#cursor = this.#tickOf(this.#clock());
    const tick = Math.max(Math.ceil(dueMs / TICK_MS), this.#cursor + 1);
    const entry: Entry = { tick, task };
    this.#slots[tick % SLOTS].push(entry);
    this.#waiting += 1;
    if (!this.#turning) this.#sleep(tick);
    return () => {
      if (!entry.task) return;
      entry.task = undefined;
      this.#waiting -= 1;
    };
  }

  /** Forgets every task. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const slot of this.#slots) slot.length = 0;
    this.#waiting = 0;
  }

  #tickOf(ms: number): number {
    return Math.floor(ms / TICK_MS);
  }

  #sleep(tick: number): void {
    if (this.#timer && this.#wake <= tick) return;
    clearTimeout(this.#timer);
    this.#wake = tick;
    const delayMs = Math.max(1, Math.ceil(tick * TICK_MS - this.#clock()));
    this.#timer = setTimeout(() => this.#turn(), delayMs);
  }

  #turn(): void {
    this.#timer = undefined;
    this.#turning = true;
    const nowMs = this.#clock();
    // After a long sleep of the process one turn sees every slot: no need to walk the same slots twice.
    const last = this.#tickOf(nowMs);
    const first = Math.max(this.#cursor + 1, last - SLOTS + 1);
    for (let tick = first; tick <= last; tick += 1) {
      this.#cursor = tick;
      this.#runSlot(tick, last, nowMs);
    }
    this.#turning = false;
    const next = this.#nextOccupied();
    if (next !== undefined) this.#sleep(next);
  }

  #runSlot(tick: number, last: number, nowMs: number): void {
    const index = tick % SLOTS;
    const slot = this.#slots[index];
    if (slot.length === 0) return;
    // A running task may put another into this same slot.
    const kept: Entry[] = [];
    this.#slots[index] = kept;
    for (const entry of slot) {
      const { task } = entry;
      if (!task) continue;
      if (entry.tick > last) {
        kept.push(entry);
        continue;
      }
      entry.task = undefined;
      this.#waiting -= 1;
      task.run(nowMs);
    }
  }

  /** The next slot with anything in it, as a tick at most one turn ahead: tasks of later turns are looked at in passing. */
  #nextOccupied(): number | undefined {
    if (this.#waiting === 0) return undefined;
    for (let ahead = 1; ahead <= SLOTS; ahead += 1) {
      if (this.#slots[(this.#cursor + ahead) % SLOTS].length > 0) return this.#cursor + ahead;
    }
    return undefined;
  }
}
