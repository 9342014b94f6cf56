/**
 * The fast way through the chunks of a stream: from those that were parsed it learns their shape, and reads the
 * next ones by comparing bytes.
 *
 *     {"id":"c1","created": 1795 ,"choices":[{"index":0,"delta":{"content":" old "}}],…}
 *     └───── literal ─────┘ slot └──────────────── literal ───────────────┘ slot └── literal ──┘
 *
 * A chunk matches when every literal is there byte for byte and every slot holds what it must: then it parses to the same
 * object as the chunk that was learnt, but for the slots. It is learnt only from a chunk whose whole effect was one delta, so a match has
 * that effect too, with another text. Whatever does not match is parsed: the scanner may be slow, never wrong.
 */
import type { DeltaKind } from './events.ts';
import { scanBody } from './json-text.ts';
import { type DeltaPath, locate, type Shape, type Volatile } from './scan-shape.ts';

const TEMPLATES_MAX = 4;
const LITERAL_BYTES_MAX = 4096;
/** Shapes learnt without one match after which learning pauses … */
const VAIN_MAX = 4;
/** … for this many chunks: a stream whose chunks all differ (logprobs) shall not pay for learning each. */
const PAUSE_CHUNKS = 256;

interface Template extends Shape {
  /** Its bytes. */
  readonly learnt: DataView;
  readonly kind: DeltaKind;
  readonly part: number;
}

export class ChunkScanner {
  /** After a match: the delta and its escaped body in the matched bytes. */
  kind: DeltaKind = 0;
  part = 0;
  start = 0;
  end = 0;

  readonly #volatile: readonly Volatile[];
  #templates: Template[] = [];
  #vain = 0;
  #pause = 0;

  constructor(volatile: readonly Volatile[]) {
    this.#volatile = volatile;
  }

  /** Nothing was learnt: `match` says no to all. */
  get blank(): boolean {
    return this.#templates.length === 0;
  }

  /** The shape that matched last, or was learnt last; after it `kind` and `part` are those of its chunks. */
  first(): Shape | undefined {
    const template = this.#templates[0];
    if (template === undefined) return undefined;
    this.kind = template.kind;
    this.part = template.part;
    return template;
  }

  /** Chunks of the first shape were found by somebody else. */
  matched(): void {
    this.#vain = 0;
  }

  /** The position after the chunk that begins at `pos`, or -1: parse it. `view` is `bytes` as a DataView. */
  match(bytes: Uint8Array, view: DataView, pos: number, end: number): number {
    for (let i = 0; i < this.#templates.length; i++) {
      const template = this.#templates[i];
      const stop = this.#matchOne(template, bytes, view, pos, end);
      if (stop < 0) continue;
      this.kind = template.kind;
      this.part = template.part;
      this.#vain = 0;
      if (i > 0) {
        this.#templates[i] = this.#templates[i - 1];
        this.#templates[i - 1] = template;
      }
      return stop;
    }
    return -1;
  }

  /**
   * The chunk `bytes[start, end)` was parsed, and all it said was one delta of this kind, found whole at `path`.
   */
  learn(
    bytes: Uint8Array,
    start: number,
    end: number,
    said: { readonly kind: DeltaKind; readonly part: number; readonly path: DeltaPath },
  ): void {
    if (this.#pause > 0) {
      this.#pause--;
      return;
    }
    // Not `bytes.slice`: of a Buffer that is a view.
    const chunk = new Uint8Array(bytes.subarray(start, end));
    const slots = locate(chunk, said.path, this.#volatile);
    if (slots === undefined) return;
    const literal = slots.reduce((n, slot) => n - (slot.end - slot.start), chunk.length);
    if (literal > LITERAL_BYTES_MAX) return;
    const { kind, part } = said;
    this.#templates.unshift({ bytes: chunk, learnt: viewOf(chunk), slots, laidAt: -1, kind, part });
    if (this.#templates.length > TEMPLATES_MAX) this.#templates.pop();
    if (++this.#vain >= VAIN_MAX) {
      this.#vain = 0;
      this.#pause = PAUSE_CHUNKS;
    }
  }

  /** What a chunk means has changed (another tool call began): learn anew. */
  forget(): void {
    this.#templates = [];
  }

  #matchOne(
    { learnt, slots }: Template,
    bytes: Uint8Array,
    view: DataView,
    pos: number,
    end: number,
  ): number {
    let from = 0;
    let at = pos;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i];
      const stop = at + slot.start - from;
      if (stop > end || !sameBytes(learnt, from, slot.start, view, at)) return -1;
      from = slot.end;
      at = slot.kind === 'digits' ? scanDigits(bytes, stop, end) : scanBody(bytes, stop, end);
      if (at < 0) return -1;
      if (slot.kind === 'delta') {
        // Empty says nothing, and then another member may speak: not ours to decide.
        if (at === stop) return -1;
        this.start = stop;
        this.end = at;
      }
    }
    const stop = at + learnt.byteLength - from;
    return stop <= end && sameBytes(learnt, from, learnt.byteLength, view, at) ? stop : -1;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Is `learnt[from, to)` what stands at `at`? Sixteen bytes a step: this comparison is most of the work of a match, and four times as
 * fast as byte by byte. A DataView reads unaligned words, and a native comparison costs a call per literal.
 */
function sameBytes(
  learnt: DataView,
  from: number,
  to: number,
  view: DataView,
  at: number,
): boolean {
  const shift = at - from;
  let i = from;
  for (; i + 16 <= to; i += 16) {
    const differs =
      (learnt.getInt32(i, true) ^ view.getInt32(i + shift, true)) |
      (learnt.getInt32(i + 4, true) ^ view.getInt32(i + 4 + shift, true)) |
      (learnt.getInt32(i + 8, true) ^ view.getInt32(i + 8 + shift, true)) |
      (learnt.getInt32(i + 12, true) ^ view.getInt32(i + 12 + shift, true));
    if (differs !== 0) return false;
  }
  for (; i + 4 <= to; i += 4)
    if (learnt.getInt32(i, true) !== view.getInt32(i + shift, true)) return false;
  for (; i < to; i++) if (learnt.getUint8(i) !== view.getUint8(i + shift)) return false;
  return true;
}

/** A plain positive integer, at most 15 digits. */
function scanDigits(bytes: Uint8Array, pos: number, end: number): number {
  let at = pos;
  while (at < end && bytes[at] >= 0x30 && bytes[at] <= 0x39) at++;
  if (at === pos || at - pos > 15 || bytes[pos] === 0x30) return -1;
  return at;
}
