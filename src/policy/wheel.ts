/**
 * Deadlines of many streams behind one tick: a hashed wheel with its lists in typed arrays.
 *
 *     buckets   0 ─▶ key 7 ─▶ key 2        a key lies in the bucket of the tick it was linked for
 *               1                           (`at`); its due time may have moved to later since
 *               2 ─▶ key 5
 *
 * Moving a deadline to later is one store: when the old bucket comes, the key is linked anew (a gap clock moves with
 * every token, and almost never fires). Never early; late by at most one period and the ticker's own delay.
 */
import { must } from '../must.ts';
import type { Wheel } from './ports.ts';

const NONE = -1;
const NEVER = Infinity;

export interface WheelOptions {
  readonly periodMs: number;
  /** Most keys: keys are 0 … keysMax − 1. Arrays grow up to it by doubling. */
  readonly keysMax: number;
  readonly startMs: number;
  readonly fire: (key: number) => void;
  /** Buckets; a deadline further away than `buckets × periodMs` is looked at once per turn of the wheel. */
  readonly buckets?: number;
}

export class TimingWheel implements Wheel {
  readonly #periodMs: number;
  readonly #keysMax: number;
  readonly #fire: (key: number) => void;
  readonly #heads: Int32Array;
  #due = new Float64Array(0);
  #at = new Float64Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #swept: number;
  #armed = 0;
  readonly #expired: number[] = [];

  constructor(options: WheelOptions) {
    this.#periodMs = options.periodMs;
    this.#keysMax = options.keysMax;
    this.#fire = options.fire;
    this.#heads = new Int32Array(options.buckets ?? 512).fill(NONE);
    this.#swept = Math.floor(options.startMs / options.periodMs);
    this.#grow(Math.min(64, options.keysMax));
  }

  get armed(): number {
    return this.#armed;
  }

  /** When `tick` may next have something to do, so that nobody has to call it before; undefined when nothing is linked. */
  get nextMs(): number | undefined {
    const buckets = this.#heads.length;
    for (let n = 1; n <= buckets; n += 1) {
      const tick = this.#swept + n;
      if (this.#heads[tick % buckets] !== NONE) return tick * this.#periodMs;
    }
    return undefined;
  }

  arm(key: number, dueMs: number): void {
    // The text only when it is needed: this is on the way of every token.
    if (key < 0 || key >= this.#keysMax) must(false, `wheel key ${key} of ${this.#keysMax}`);
    if (key >= this.#due.length) this.#grow(Math.min(this.#keysMax, Math.max(key + 1, key * 2)));
    if (this.#due[key] === NEVER) this.#armed += 1;
    this.#due[key] = dueMs;
    const tick = this.#tickOf(dueMs);
    if (this.#at[key] !== NONE) {
      if (tick >= this.#at[key]) return;
      this.#unlink(key);
    }
    this.#link(key, tick);
  }

  disarm(key: number): void {
    if (key >= this.#due.length || this.#due[key] === NEVER) return;
    this.#due[key] = NEVER;
    this.#armed -= 1;
  }

  /** Fires what is due, each key once; a key may be armed or disarmed from within `fire`. */
  tick(nowMs: number): void {
    const current = Math.floor(nowMs / this.#periodMs);
    const ticks = Math.min(current - this.#swept, this.#heads.length);
    for (let n = 1; n <= ticks; n += 1) this.#sweep((this.#swept + n) % this.#heads.length, nowMs);
    if (current > this.#swept) this.#swept = current;
    const expired = this.#expired.splice(0);
    for (const key of expired) {
      // An earlier one of this tick may have moved or disarmed it.
      if (this.#due[key] > nowMs) continue;
      this.#due[key] = NEVER;
      this.#armed -= 1;
      this.#fire(key);
    }
  }

  #sweep(bucket: number, nowMs: number): void {
    let key = this.#heads[bucket];
    while (key !== NONE) {
      const next = this.#next[key];
      const due = this.#due[key];
      if (due === NEVER) this.#unlink(key);
      else if (due <= nowMs) {
        this.#unlink(key);
        this.#expired.push(key);
      } else {
        const tick = this.#tickOf(due);
        if (tick % this.#heads.length === bucket) this.#at[key] = tick;
        else {
          this.#unlink(key);
          this.#link(key, tick);
        }
      }
      key = next;
    }
  }

  /** The first tick at which `dueMs` has passed, and at least the next one. */
  #tickOf(dueMs: number): number {
    return Math.max(Math.ceil(dueMs / this.#periodMs), this.#swept + 1);
  }

  #link(key: number, tick: number): void {
    const bucket = tick % this.#heads.length;
    const head = this.#heads[bucket];
    this.#at[key] = tick;
    this.#next[key] = head;
    this.#previous[key] = NONE;
    if (head !== NONE) this.#previous[head] = key;
    this.#heads[bucket] = key;
  }

  #unlink(key: number): void {
    const next = this.#next[key];
    const previous = this.#previous[key];
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#heads[this.#at[key] % this.#heads.length] = next;
    this.#at[key] = NONE;
  }

  #grow(keys: number): void {
    const from = this.#due.length;
    const due = new Float64Array(keys).fill(NEVER, from);
    const at = new Float64Array(keys).fill(NONE, from);
    const next = new Int32Array(keys);
    const previous = new Int32Array(keys);
    due.set(this.#due);
    at.set(this.#at);
    next.set(this.#next);
    previous.set(this.#previous);
    this.#due = due;
    this.#at = at;
    this.#next = next;
    this.#previous = previous;
  }
}
