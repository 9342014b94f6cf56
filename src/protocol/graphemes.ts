/**
 * Grapheme clusters, what a reader takes for one character, by the rules of UAX #29 (extended grapheme clusters, GB3 to GB999): a table
 * from code points to classes, and a table from what a cluster holds so far and the next class to what it then holds, or to a break.
 */
import { graphemeRanges } from './grapheme-ranges.ts';

/** Classes; the numbers stand in grapheme-ranges.ts. Hangul syllables (LV, LVT) are computed. */
const Class = {
  other: 0,
  cr: 1,
  lf: 2,
  control: 3,
  extend: 4,
  /** Extends, and goes on a conjunct. */
  conjunctExtend: 5,
  linker: 6,
  zwj: 7,
  regional: 8,
  prepend: 9,
  spacing: 10,
  l: 11,
  v: 12,
  t: 13,
  pictograph: 14,
  consonant: 15,
  lv: 16,
  lvt: 17,
} as const;
const CLASSES = 18;

/** What a cluster holds so far, as far as the rules look back. */
const Held = {
  /** Only marks join it. */
  any: 0,
  cr: 1,
  /** Nothing joins it. */
  control: 2,
  prepend: 3,
  l: 4,
  v: 5,
  t: 6,
  /** One regional indicator; the second completes the flag. */
  regional: 7,
  pictograph: 8,
  /** A pictograph, marks, and a joiner: a pictograph joins it. */
  joined: 9,
  consonant: 10,
  /** A consonant with a linker behind it: a consonant joins it. */
  linked: 11,
} as const;
const HELDS = 12;

/** Set in a step's answer where the code point begins a new cluster. */
export const BREAK = 16;
/** What is held where no cluster began yet. Its first step always answers BREAK. */
export const NOTHING: number = Held.control;
/** What is held behind a letter, a digit, a sign. */
export const PLAIN = Held.any;
/** What is held behind a prefix, to which the next code point belongs. */
export const PREFIX = Held.prepend;

/** What a cluster holds that begins with a class. */
function beginning(kind: number): number {
  switch (kind) {
    case Class.cr:
      return Held.cr;
    case Class.lf:
    case Class.control:
      return Held.control;
    case Class.prepend:
      return Held.prepend;
    case Class.l:
      return Held.l;
    case Class.v:
    case Class.lv:
      return Held.v;
    case Class.t:
    case Class.lvt:
      return Held.t;
    case Class.regional:
      return Held.regional;
    case Class.pictograph:
      return Held.pictograph;
    case Class.consonant:
      return Held.consonant;
    default:
      return Held.any;
  }
}

/** What is held after `kind` joined, or -1 where it does not. The numbers are those of the rules in UAX #29. */
function joining(held: number, kind: number): number {
  const { any, control } = Held;
  if (held === Held.cr) return kind === Class.lf ? control : -1; // GB3
  if (held === control) return -1; // GB4
  if (kind === Class.cr || kind === Class.lf || kind === Class.control) return -1; // GB5
  const marks = [Class.extend, Class.conjunctExtend, Class.linker, Class.zwj] as readonly number[];
  if (marks.includes(kind)) return marked(held, kind); // GB9
  if (kind === Class.spacing) return any; // GB9a
  if (held === Held.prepend) return beginning(kind); // GB9b
  const follows = beginning(kind);
  if (held === Held.l && [Class.l, Class.v, Class.lv, Class.lvt].includes(kind as never))
    return follows; // GB6
  if (held === Held.v && (kind === Class.v || kind === Class.t)) return follows; // GB7
  if (held === Held.t && kind === Class.t) return follows; // GB8
  if (held === Held.linked && kind === Class.consonant) return follows; // GB9c
  if (held === Held.joined && kind === Class.pictograph) return follows; // GB11
  if (held === Held.regional && kind === Class.regional) return any; // GB12, GB13
  return -1; // GB999
}

/** Behind a mark only pictographs (GB11) and conjuncts (GB9c) remember what came before. */
function marked(held: number, kind: number): number {
  if (held === Held.pictograph) return kind === Class.zwj ? Held.joined : Held.pictograph;
  if (held !== Held.consonant && held !== Held.linked) return Held.any;
  if (kind === Class.extend) return Held.any;
  return kind === Class.linker ? Held.linked : held;
}

const steps = new Uint8Array(HELDS * CLASSES);
for (let held = 0; held < HELDS; held++) {
  for (let kind = 0; kind < CLASSES; kind++) {
    const joined = joining(held, kind);
    steps[held * CLASSES + kind] = joined < 0 ? BREAK | beginning(kind) : joined;
  }
}

/** Blocks of 128 code points; blocks that are alike are one, the first is of nothing special. Made at the first use, in about a millisecond. */
let blockOf: Uint8Array | undefined;
let blocks: Uint8Array = new Uint8Array(0);

function build(): Uint8Array {
  const touched = new Map<number, Uint8Array>();
  const set = (kind: number, from: number, to: number) => {
    for (let at = from; at < to; ) {
      const block = at >> 7;
      const end = Math.min(to, (block + 1) << 7);
      const classes = touched.get(block) ?? new Uint8Array(128);
      touched.set(block, classes.fill(kind, at & 127, end - (block << 7)));
      at = end;
    }
  };
  let at = 0;
  for (const line of graphemeRanges) {
    for (const run of line.split(',')) {
      const [gap, length, kind] = run.split(' ').map((digits) => Number.parseInt(digits, 36));
      set(kind, at + gap, at + gap + length);
      at += gap + length;
    }
  }
  // Every 28th syllable has no final consonant (The Unicode Standard, 3.12).
  set(Class.lvt, 0xac00, 0xac00 + 11_172);
  for (let i = 0; i < 11_172; i += 28) set(Class.lv, 0xac00 + i, 0xac00 + i + 1);
  const known = new Map<string, number>();
  const index = new Uint8Array(0x110000 >> 7);
  const kept: Uint8Array[] = [new Uint8Array(128)];
  for (const [block, classes] of touched) {
    const key = String.fromCharCode(...classes);
    let number = known.get(key);
    if (number === undefined) {
      number = kept.push(classes) - 1;
      known.set(key, number);
    }
    index[block] = number;
  }
  blocks = new Uint8Array(kept.length << 7);
  for (const [number, classes] of kept.entries()) blocks.set(classes, number << 7);
  blockOf = index;
  return index;
}

/** One code point further: what is held behind it, with BREAK where it begins a new cluster. `held` without BREAK. */
export function step(held: number, point: number): number {
  const index = blockOf ?? build();
  const kind = blocks[(index[point >> 7] << 7) | (point & 127)];
  return steps[held * CLASSES + kind];
}

/**
 * Is more to be expected before the cluster is whole? True where it ends with what only makes sense in front of something (a joiner, half
 * a flag, CR, a prefix, a leading Hangul letter, a linked consonant) and behind a pictograph, which often goes on with a joiner. Marks may
 * follow any cluster; nobody can wait for those.
 */
export function isOpen(held: number): boolean {
  return open[held] === 1;
}

const open = new Uint8Array(HELDS);
for (const held of [
  Held.cr,
  Held.prepend,
  Held.l,
  Held.regional,
  Held.pictograph,
  Held.joined,
  Held.linked,
]) {
  open[held] = 1;
}
