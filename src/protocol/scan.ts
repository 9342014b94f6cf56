/**
 * The fast way through a chat-completion chunk: from the chunks of a stream that were parsed it learns their shape, and reads the
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
import { locate, type Slot } from './scan-shape.ts';

const TEMPLATES_MAX = 4;
const LITERAL_BYTES_MAX = 4096;
/** Shapes learnt without one match after which learning pauses … */
const VAIN_MAX = 4;
/** … for this many chunks: a stream whose chunks all differ (logprobs) shall not pay for learning each. */
const PAUSE_CHUNKS = 256;

interface Template {
  /** The chunk it was learnt from; literals lie between the slots. */
  readonly bytes: Uint8Array;
  readonly slots: readonly Slot[];
  readonly kind: DeltaKind;
  readonly part: number;
}

export class ChunkScanner {
  /** After a match: the delta and its escaped body in the matched bytes. */
  kind: DeltaKind = 0;
  part = 0;
  start = 0;
  end = 0;

  #templates: Template[] = [];
  #vain = 0;
  #pause = 0;

  /** The position after the chunk that begins at `pos`, or -1: parse it. */
  match(bytes: Uint8Array, pos: number, end: number): number {
    for (let i = 0; i < this.#templates.length; i++) {
      const template = this.#templates[i];
      const stop = this.#matchOne(template, bytes, pos, end);
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
   * The chunk `bytes[start, end)` was parsed, and all it said was one delta of this kind, found whole in the member `field`.
   */
  learn(
    bytes: Uint8Array,
    start: number,
    end: number,
    said: { readonly kind: DeltaKind; readonly part: number; readonly field: string },
  ): void {
    if (this.#pause > 0) {
      this.#pause--;
      return;
    }
    const chunk = bytes.slice(start, end);
    const slots = locate(chunk, said.field);
    if (slots === undefined) return;
    const literal = slots.reduce((n, slot) => n - (slot.end - slot.start), chunk.length);
    if (literal > LITERAL_BYTES_MAX) return;
    this.#templates.unshift({ bytes: chunk, slots, kind: said.kind, part: said.part });
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

  #matchOne(template: Template, bytes: Uint8Array, pos: number, end: number): number {
    const learnt = template.bytes;
    const slots = template.slots;
    let from = 0;
    let at = pos;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i];
      at = matchLiteral(learnt, from, slot.start, bytes, at, end);
      if (at < 0) return -1;
      const stop = slot.kind === 'digits' ? scanDigits(bytes, at, end) : scanBody(bytes, at, end);
      if (stop < 0) return -1;
      if (slot.kind === 'delta') {
        // Empty says nothing, and then another member may speak: not ours to decide.
        if (stop === at) return -1;
        this.start = at;
        this.end = stop;
      }
      at = stop;
      from = slot.end;
    }
    return matchLiteral(learnt, from, learnt.length, bytes, at, end);
  }
}

/** Compares `learnt[from, to)` with what stands at `at`; the position after it, or -1. */
function matchLiteral(
  learnt: Uint8Array,
  from: number,
  to: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): number {
  const shift = at - from;
  if (to + shift > end) return -1;
  for (let i = from; i < to; i++) if (learnt[i] !== bytes[i + shift]) return -1;
  return to + shift;
}

/** A plain positive integer, at most 15 digits. */
function scanDigits(bytes: Uint8Array, pos: number, end: number): number {
  let at = pos;
  while (at < end && bytes[at] >= 0x30 && bytes[at] <= 0x39) at++;
  if (at === pos || at - pos > 15 || bytes[pos] === 0x30) return -1;
  return at;
}
