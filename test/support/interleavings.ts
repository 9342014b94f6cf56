/**
 * Runs pieces of the real shared-memory code through every interleaving of their atomic operations.
 *
 * How. Each side is an ordinary synchronous function that gets an `AtomicsPort`. JavaScript cannot suspend a function between
 * two calls, so a side is suspended by throwing out of it at an operation, and resumed by running it again from its start on
 * fresh objects: the port answers the operations already made with their recorded results, and before each stretch of plain
 * code it puts back the shared memory as it was when that stretch first ran. So the stretch reads and writes exactly what it
 * did then; its effects are thrown away (they are in the true memory already). At the first operation not made yet the side is
 * where it was. This is sound because a side is a function of its results and of the memory it reads, nothing else.
 *
 * What is one step. An atomic operation is one step, the plain code up to the next operation another (unless it touches nothing
 * shared): a store that publishes too early is seen by the other side before the plain writes that follow it. JS atomics are sequentially consistent, so all
 * executions are interleavings of these steps, as long as no two stretches of plain code race, which the programs check by the
 * contents they read (twice, with a `pause` between).
 *
 * How far. Depth first over all states. A state (true memory, and for each side its results and all its plain code read, which
 * the typed arrays of `tracked.ts` tell) is entered once; schedules are counted as paths through the graph of states. A state where nobody can go on and someone is
 * not done is a lost wake-up.
 */
import type { AtomicsPort } from '../../src/memory/atomics.ts';
import {
  type Access,
  accessesSince,
  forgetAccesses,
  readsSince,
  trackedAtomics,
} from './tracked.ts';

export interface World {
  readonly atomics: AtomicsPort;
  /** A point where the others may run. */
  pause(): void;
  /** Sleeps until the word is not 0, and makes it 0: a bell as a message, several rings in one. */
  wait(words: Int32Array, at: number): void;
  /** Adds to a word, as one step: a bell, or a queue between the sides. */
  post(words: Int32Array, at: number, n?: number): void;
}

export interface Program {
  /** All shared memory of the program, as it is at the start. */
  readonly memory: readonly Int32Array[];
  /** The sides. Each makes its objects itself: those made before the first step cost no steps. */
  readonly sides: readonly ((world: World) => void)[];
  /** Holds when all sides are done. Throws if not. */
  readonly atEnd?: () => void;
  /** A side that may die before any of its steps; then its word here gets 1. */
  readonly mortal?: { readonly side: number; readonly words: Int32Array; readonly at: number };
}

export interface Found {
  readonly states: number;
  readonly schedules: bigint;
  /** The first schedule that breaks a promise, step by step; undefined when there is none. */
  readonly broken?: { readonly why: string; readonly steps: readonly string[] };
}

interface Operation {
  readonly name: string;
  readonly enabled: () => boolean;
  readonly make: () => number;
  /** The word it is about; a load only reads it. */
  readonly touches: readonly Access[];
}

interface Step {
  readonly side: number;
  readonly after: State;
  readonly said: string;
  readonly touches: readonly Access[];
}

/** One operation a side made, and the memory its following plain code ran on. */
interface Made {
  readonly result: number;
  memory: Int32Array | undefined;
}

interface SideState {
  readonly made: readonly Made[];
  /** What it does next: an operation, plain code, or nothing any more. */
  readonly next: Operation | 'code' | 'done';
  /** Names the side's history: equal numbers, equal histories. */
  readonly identity: number;
}

interface State {
  readonly memory: Int32Array;
  readonly sides: readonly SideState[];
  readonly dead: boolean;
}

const suspended = new Error('suspended');

class Broken extends Error {}

/** Every interleaving of the program, or up to `statesMax` states. */
export function searchInterleavings(program: Program, statesMax = 2_000_000): Found {
  return new Search(program, statesMax).run();
}

class Search {
  readonly #program: Program;
  readonly #statesMax: number;
  readonly #length: number;
  readonly #paths = new Map<string, bigint>();
  readonly #identities = new Map<string, number>();
  readonly #steps: string[] = [];
  /** The memory at the very start: what constructors see. */
  #first: Int32Array = new Int32Array(0);
  /** The memory at the moment a side was suspended: what it does while it unwinds does not count. */
  #kept: Int32Array | undefined;

  constructor(program: Program, statesMax: number) {
    this.#program = program;
    this.#statesMax = statesMax;
    this.#length = program.memory.reduce((n, words) => n + words.length, 0);
  }

  run(): Found {
    this.#first = this.#snapshot();
    const start: State = {
      memory: this.#first,
      dead: false,
      sides: this.#program.sides.map(() => ({ made: [], next: 'code', identity: 0 })),
    };
    try {
      // What a side does before its first operation is its private start.
      const begun = start.sides.reduce((state, _, side) => this.#step(state, side).after, start);
      const schedules = this.#explore(begun);
      return { states: this.#paths.size, schedules };
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      const broken = { why: error.message, steps: [...this.#steps] };
      return { states: this.#paths.size, schedules: 0n, broken };
    }
  }

  /** Schedules from here to an end. */
  #explore(state: State): bigint {
    const key = this.#keyOf(state);
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    if (this.#paths.size >= this.#statesMax) throw new Error('the program is too large to search');
    const able = state.sides.flatMap(({ next }, side) => (this.#able(state, next) ? [side] : []));
    const steps = able.map((side) => this.#step(state, side));
    this.#refuseRaces(steps);
    let schedules = 0n;
    for (const { after, said } of steps) {
      this.#steps.push(said);
      schedules += this.#explore(after);
      this.#steps.pop();
    }
    const mortal = this.#program.mortal;
    if (mortal && !state.dead && state.sides[mortal.side].next !== 'done') {
      this.#steps.push(`side ${mortal.side} dies`);
      schedules += this.#explore(this.#kill(state, mortal));
      this.#steps.pop();
    } else if (able.length === 0) {
      this.#end(state);
      schedules = 1n;
    }
    this.#paths.set(key, schedules);
    return schedules;
  }

  #able(state: State, next: SideState['next']): boolean {
    if (next === 'done') return false;
    if (next === 'code') return true;
    this.#restore(state.memory);
    return next.enabled();
  }

  #end(state: State): void {
    const stuck = state.sides.flatMap(({ next }, side) =>
      typeof next === 'object' ? [`side ${side} at ${next.name}`] : [],
    );
    if (stuck.length > 0) throw new Broken(`nobody can go on: ${stuck.join(', ')}`);
    this.#restore(state.memory);
    this.#check(() => this.#program.atEnd?.());
  }

  /** Two sides that could both go on now must not both touch a byte by plain code, one of them writing. */
  #refuseRaces(steps: readonly Step[]): void {
    for (const one of steps) {
      for (const other of steps.slice(steps.indexOf(one) + 1)) {
        const racing = one.touches.some((a) => other.touches.some((b) => conflict(a, b)));
        if (racing) throw new Broken(`a race of ${one.said} and ${other.said}`);
      }
    }
  }

  #step(state: State, side: number): Step {
    const before = state.sides[side];
    this.#restore(state.memory);
    if (before.next === 'code') {
      const after = this.#after(state, side, this.#runCode(before, state.memory, side));
      return { side, after, said: `side ${side}: plain code`, touches: accessesSince() };
    }
    const { name, touches } = before.next as Operation;
    const [result, operated] = this.#operate(before);
    const between = this.#after(state, side, operated);
    const said = `side ${side}: ${name} → ${result}`;
    const run = this.#runCode(operated, between.memory, side);
    // Code that touches nothing shared makes no difference to anyone, whenever it runs: it belongs to the operation.
    const after = accessesSince().length === 0 ? this.#after(between, side, run) : between;
    return { side, after, said, touches };
  }

  #after(state: State, side: number, after: SideState): State {
    return { memory: this.#snapshot(), sides: state.sides.with(side, after), dead: state.dead };
  }

  #operate(before: SideState): [number, SideState] {
    const result = (before.next as Operation).make();
    const made = [...before.made, { result, memory: undefined }];
    return [
      result,
      { made, next: 'code', identity: this.#identify(before.identity, `=${result}`) },
    ];
  }

  /** Brings the side to where it stands, then runs its plain code on the true memory up to its next operation. */
  #runCode(before: SideState, memory: Int32Array, side: number): SideState {
    const made = before.made.map((one) => ({ ...one }));
    const last = made.at(-1);
    if (last) last.memory = memory;
    let next: SideState['next'] = 'done';
    const world = this.#world(made, (operation) => {
      next = operation;
    });
    if (made.length > 0) this.#restore(this.#first);
    forgetAccesses();
    this.#check(() => this.#program.sides[side](world));
    if (this.#kept !== undefined) this.#restore(this.#kept);
    this.#kept = undefined;
    return { made, next, identity: this.#identify(before.identity, `#${readsSince()}`) };
  }

  /** The port of one run of a side. */
  #world(made: readonly Made[], suspend: (operation: Operation) => void): World {
    let at = 0;
    let unwinding = false;
    const operate = (
      name: string,
      touches: readonly Access[],
      make: () => number,
      enabled = () => true,
    ): number => {
      if (unwinding) throw suspended;
      if (at === made.length) {
        unwinding = true;
        this.#kept = this.#snapshot();
        suspend({ name, make, enabled, touches });
        throw suspended;
      }
      const { result, memory } = made[at];
      at += 1;
      if (memory) this.#restore(memory);
      forgetAccesses();
      return result;
    };
    const on = (
      what: keyof AtomicsPort | 'wait' | 'post',
      w: Int32Array,
      i: number,
      ...n: number[]
    ) =>
      operate(
        `${what} ${[this.#nameOf(w, i), ...n].join(' ')}`,
        [wordOf(w, i, what !== 'load')],
        what === 'wait'
          ? () => real.exchange(w, i, 0)
          : () => real[what === 'post' ? 'add' : what](w, i, n[0], n[1]),
        what === 'wait' ? () => w[i] !== 0 : undefined,
      );
    const real = trackedAtomics;
    return {
      atomics: {
        // Old at worst: what is seen here is what is there at some step before.
        peek: (w, i) => on('load', w, i),
        load: (w, i) => on('load', w, i),
        store: (w, i, n) => on('store', w, i, n),
        add: (w, i, n) => on('add', w, i, n),
        sub: (w, i, n) => on('sub', w, i, n),
        exchange: (w, i, n) => on('exchange', w, i, n),
        compareExchange: (w, i, expected, n) => on('compareExchange', w, i, expected, n),
      },
      pause: () => void operate('pause', [], () => 0),
      wait: (w, i) => void on('wait', w, i),
      post: (w, i, n = 1) => void on('post', w, i, n),
    };
  }

  #kill(state: State, mortal: NonNullable<Program['mortal']>): State {
    this.#restore(state.memory);
    mortal.words[mortal.at] = 1;
    const side = state.sides[mortal.side];
    const sides = state.sides.with(mortal.side, { ...side, next: 'done' });
    return { memory: this.#snapshot(), sides, dead: true };
  }

  #check(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error === suspended) return;
      throw new Broken(error instanceof Error ? error.message : String(error));
    }
  }

  #keyOf(state: State): string {
    const sides = state.sides.map(
      ({ identity, next }) => `${identity}${next === 'done' ? 'd' : ''}`,
    );
    return `${sides.join('|')}|${state.dead ? 1 : 0}|${textOf(state.memory)}`;
  }

  #identify(before: number, happened: string): number {
    const key = `${before}${happened}`;
    const known = this.#identities.get(key);
    if (known !== undefined) return known;
    this.#identities.set(key, this.#identities.size + 1);
    return this.#identities.size;
  }

  #nameOf(words: Int32Array, index: number): string {
    const region = this.#program.memory.findIndex((one) => one.buffer === words.buffer);
    return `[${region}:${words.byteOffset / 4 + index}]`;
  }

  #snapshot(): Int32Array {
    const copy = new Int32Array(this.#length);
    let at = 0;
    for (const words of this.#program.memory) {
      copy.set(words, at);
      at += words.length;
    }
    return copy;
  }

  #restore(copy: Int32Array): void {
    let at = 0;
    for (const words of this.#program.memory) {
      words.set(copy.subarray(at, at + words.length));
      at += words.length;
    }
  }
}

function wordOf(words: Int32Array, at: number, write: boolean): Access {
  const from = words.byteOffset + 4 * at;
  return { buffer: words.buffer, from, to: from + 4, write, atomic: true };
}

/** Atomic operations on one word are ordered, whatever they do. */
function conflict(a: Access, b: Access): boolean {
  const meet = a.buffer === b.buffer && a.from < b.to && b.from < a.to;
  return meet && (a.write || b.write) && !(a.atomic && b.atomic);
}

function textOf(memory: Int32Array): string {
  return Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength).toString('latin1');
}
