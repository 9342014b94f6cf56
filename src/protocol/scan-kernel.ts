/**
 * The WebAssembly half of the scanner (wasm/scan.ts): lays its memory out, calls it, and hands back what it found. One per thread, made at
 * its first use; none where WebAssembly or its vector instructions are missing: then everything goes the way of scan.ts.
 *
 *     ┌ next, found (1024 × 3 words) ┬ shapes, 1 MiB ──────────────┬ read, 64 KiB ──┬ copy, 64 KiB ┐
 *     └──────────────────────────────┴ a log that begins anew ─────┴ sockets read ──┴ what came ───┘
 *                                      when it is full               into it          elsewhere
 *
 * Shapes are never given back: one that was overwritten meanwhile is laid down again when its stream needs it. A socket that
 * reads straight into `readArea` saves the copy.
 */
import { kernelBytes } from './scan-kernel-bytes.ts';
import type { Shape } from './scan-shape.ts';

const FOUND = 16;
const FOUND_MAX = 1024;
const SHAPES = 16 * 1024;
const SHAPES_BYTES = 1024 * 1024;
const AREA_BYTES = 64 * 1024;
/** The kernel looks at sixteen bytes at once, also at the end of what is its business. */
const SLACK = 64;
const READ = SHAPES + SHAPES_BYTES;
const COPY = READ + AREA_BYTES + SLACK;

const slotKinds = { digits: 0, text: 1, delta: 2 } as const;

/** How the events around a shape look, and how large they may be. */
export interface Framing {
  /** One JSON value per line instead of an event stream. */
  readonly lines: boolean;
  /** The `event:` line in front of each; empty: none. */
  readonly eventLine: Uint8Array;
  readonly eventBytesMax: number;
}

/** What we need of WebAssembly; the type library for browsers is not loaded. */
interface Wasm {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: object };
  validate(bytes: Uint8Array): boolean;
}
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  scan(
    shape: number,
    base: number,
    from: number,
    end: number,
    eventBytesMax: number,
    most: number,
  ): number;
}

export class ScanKernel {
  /** Of the last scan: delta's start, delta's end and event's end of each event, as positions in its bytes. */
  readonly found: Int32Array;
  /** Calls so far: a caller that sees it change must not read `found` any more. */
  scans = 0;
  readonly readArea: Uint8Array;
  readonly #exports: Exports;
  readonly #buffer: ArrayBuffer;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #copy: Uint8Array;
  /** Bytes of shapes laid down so far, gaps included: position in the area is the rest by its size. */
  #laid = 0;

  constructor(wasm: Wasm) {
    const { exports } = new wasm.Instance(new wasm.Module(kernelBytes()));
    this.#exports = exports as Exports;
    this.#buffer = this.#exports.memory.buffer;
    this.#bytes = new Uint8Array(this.#buffer);
    this.#words = new Int32Array(this.#buffer);
    this.found = new Int32Array(this.#buffer, FOUND, 3 * FOUND_MAX);
    this.readArea = new Uint8Array(this.#buffer, READ, AREA_BYTES);
    this.#copy = new Uint8Array(this.#buffer, COPY, AREA_BYTES);
  }

  /** Finds events of this shape that follow each other from `from` on. Returns how many: see `found`. */
  scan(shape: Shape, bytes: Uint8Array, from: number, framing: Framing): number {
    let base = bytes.byteOffset;
    const { length } = bytes;
    this.scans++;
    if (bytes.buffer !== this.#buffer) {
      if (length - from > AREA_BYTES) return 0;
      this.#copy.set(from === 0 ? bytes : bytes.subarray(from));
      base = COPY - from;
    }
    const place = this.#place(shape, framing);
    if (place < 0) return 0;
    return this.#exports.scan(
      place,
      base,
      base + from,
      base + length,
      framing.eventBytesMax,
      FOUND_MAX,
    );
  }

  #place(shape: Shape, framing: Framing): number {
    const { laidAt } = shape;
    if (laidAt >= 0 && this.#laid - laidAt <= SHAPES_BYTES) return SHAPES + (laidAt % SHAPES_BYTES);
    return this.#lay(shape, framing);
  }

  #lay(shape: Shape, { lines, eventLine }: Framing): number {
    const { slots, bytes } = shape;
    const head = aligned(16 + 8 * slots.length + 4);
    const literalsAt = head + aligned(eventLine.length);
    const size = aligned(literalsAt + bytes.length);
    if (size > SHAPES_BYTES / 16) return -1;
    const left = SHAPES_BYTES - (this.#laid % SHAPES_BYTES);
    if (left < size) this.#laid += left;
    const place = SHAPES + (this.#laid % SHAPES_BYTES);
    shape.laidAt = this.#laid;
    this.#laid += size;
    let word = place >>> 2;
    this.#words.set([slots.length, eventLine.length, lines ? 1 : 0, literalsAt], word);
    word += 4;
    let from = 0;
    let to = place + literalsAt;
    for (const { kind, start, end } of slots) {
      this.#words[word++] = start - from;
      this.#words[word++] = slotKinds[kind];
      this.#bytes.set(bytes.subarray(from, start), to);
      to += start - from;
      from = end;
    }
    this.#words[word] = bytes.length - from;
    this.#bytes.set(bytes.subarray(from), to);
    this.#bytes.set(eventLine, place + head);
    return place;
  }
}

function aligned(bytes: number): number {
  return (bytes + 15) & ~15;
}

let kernel: ScanKernel | undefined;
let asked = false;

/** This thread's; undefined: there is none. */
export function scanKernel(): ScanKernel | undefined {
  if (!asked) chooseKernel(true);
  return kernel;
}

/** Tests and benches: with it, where there is one, or without. */
export function chooseKernel(wanted: boolean): void {
  asked = true;
  kernel = wanted ? made() : undefined;
}

function made(): ScanKernel | undefined {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: Wasm };
  if (wasm?.validate(kernelBytes()) !== true) return undefined;
  try {
    return new ScanKernel(wasm);
  } catch {
    // V8 keeps gigabytes of addresses free behind every memory: a limit on them (ulimit -v) may not leave so many.
    return undefined;
  }
}
