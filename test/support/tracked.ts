/**
 * Typed arrays over shared memory that say what was done with them, for `interleavings.ts`: a side's state depends on the
 * memory only through what it read. `mutant.ts` puts them under the real code in place of the language's.
 */
import type { AtomicsPort } from '../../src/memory/atomics.ts';

/** Bytes of shared memory that were read or written. */
export interface Access {
  readonly buffer: ArrayBufferLike;
  readonly from: number;
  readonly to: number;
  readonly write: boolean;
  readonly atomic?: boolean;
}

let seen = '';
let accesses: Access[] = [];

/** Forgets what was read and written so far. */
export function forgetAccesses(): void {
  seen = '';
  accesses = [];
}

/** What was read or written since. */
export function accessesSince(): readonly Access[] {
  return accesses;
}

/** All values read since, in order. */
export function readsSince(): string {
  return seen;
}

const arrays = new WeakMap<object, Int32Array | Uint8Array>();

/** The array behind a tracked one. Operations on it are not noted. */
function untracked(words: Int32Array): Int32Array {
  return (arrays.get(words) as Int32Array | undefined) ?? words;
}

/** Properties that tell nothing of the contents. */
const shape = new Set<PropertyKey>(['length', 'byteLength', 'byteOffset', 'buffer']);

/** The language's atomics on tracked arrays: for looking at the memory before or after a search. */
export const trackedAtomics: AtomicsPort = {
  peek: (w, i) => Atomics.load(untracked(w), i),
  load: (w, i) => Atomics.load(untracked(w), i),
  store: (w, i, n) => Atomics.store(untracked(w), i, n),
  add: (w, i, n) => Atomics.add(untracked(w), i, n),
  sub: (w, i, n) => Atomics.sub(untracked(w), i, n),
  exchange: (w, i, n) => Atomics.exchange(untracked(w), i, n),
  compareExchange: (w, i, e, n) => Atomics.compareExchange(untracked(w), i, e, n),
};

/** Notes an access to some elements. */
function touch(array: Int32Array | Uint8Array, at: number, count: number, write: boolean): void {
  const from = array.byteOffset + at * array.BYTES_PER_ELEMENT;
  accesses.push({
    buffer: array.buffer,
    from,
    to: from + count * array.BYTES_PER_ELEMENT,
    write,
  });
}

const handler: ProxyHandler<Int32Array | Uint8Array> = {
  get(array, key) {
    if (typeof key === 'string' && key.charCodeAt(0) < 58) {
      const value = array[Number(key)];
      seen += `,${value}`;
      touch(array, Number(key), 1, false);
      return value;
    }
    if (key === 'set') {
      return (from: ArrayLike<number>, at = 0) => {
        array.set(from, at);
        touch(array, at, from.length, true);
      };
    }
    if (!shape.has(key)) {
      // Whatever else it does with the bytes, it may read all of them.
      seen += `,${array.join()}`;
      touch(array, 0, array.length, false);
    }
    const property: unknown = Reflect.get(array, key, array);
    return typeof property === 'function' ? property.bind(array) : property;
  },
  set(array, key, value: number) {
    array[Number(key)] = value;
    touch(array, Number(key), 1, true);
    return true;
  },
};

function track<Array extends Int32Array | Uint8Array>(array: Array): Array {
  const proxy = new Proxy(array, handler);
  arrays.set(proxy, array);
  return proxy as Array;
}

/** Stands in for the constructor: `new` of a function that returns an object gives that object. */
export function TrackedInt32Array(...args: ConstructorParameters<typeof Int32Array>): Int32Array {
  return track(new Int32Array(...args));
}

export function TrackedUint8Array(...args: ConstructorParameters<typeof Uint8Array>): Uint8Array {
  return track(new Uint8Array(...args));
}
