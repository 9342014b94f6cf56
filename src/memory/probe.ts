/**
 * What of shared memory and WebAssembly this runtime has. Who writes: this thread alone, into a buffer that nobody else sees;
 * nothing needs ordering.
 */

export interface MemoryProbe {
  readonly sharedArrayBuffer: boolean;
  readonly atomics: boolean;
  readonly webAssembly: boolean;
  /** Vector instructions of WebAssembly. */
  readonly simd: boolean;
}

/** A module of one function that splats a byte and takes it out again: (i32.const 0) i8x16.splat i8x16.extract_lane_u 0. */
const simdModule = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // One type: () → i32. One function of it.
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00],
  // Its code.
  ...[0x0a, 0x0b, 0x01, 0x09, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0xfd, 0x16, 0x00, 0x0b],
);

/** What we need of the global; the type library for browsers is not loaded. */
interface Wasm {
  validate(bytes: Uint8Array): boolean;
}

export function probeMemory(): MemoryProbe {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: Wasm };
  return {
    sharedArrayBuffer: typeof SharedArrayBuffer === 'function',
    atomics: worksAtomically(),
    webAssembly: wasm !== undefined,
    simd: wasm?.validate(simdModule) ?? false,
  };
}

function worksAtomically(): boolean {
  const word = new Int32Array(new SharedArrayBuffer(4));
  return Atomics.add(word, 0, 2) === 0 && Atomics.load(word, 0) === 2;
}
