/** What the parsers of configuration files have in common: values, and where in the text each key and value stands. */
import type { Path } from '../paths.ts';

/** Deeper than any configuration; a deeper file is a wrong or a hostile one. */
export const DEPTH_MAX = 32;

/** A key of the file: offsets into the text of the key and of its value, and what lies in it. An entry of a list has no key of its own. */
export interface Spot {
  readonly key: number;
  readonly value: number;
  readonly below: Map<string | number, Spot>;
}

/** Something wrong at an offset of the text. The words quote nothing: what stands there may be a secret. */
export interface Malformed {
  readonly offset: number;
  readonly text: string;
}

/** A key that stands twice. */
export interface Twice {
  readonly path: Path;
  readonly offset: number;
  readonly first: number;
}

export interface Parsed {
  /** Undefined for an empty file. */
  readonly value: unknown;
  readonly root: Spot;
  readonly twice: readonly Twice[];
}

/** The text as values, or the first thing that is wrong. */
export type Parser = (text: string) => Parsed | Malformed;

export const spotAt = (key: number, value: number): Spot => ({ key, value, below: new Map() });

/** Offset of a key or its value. What is not there has the offset of what it is missing from. */
export function offsetOf(root: Spot, path: Path, part: 'key' | 'value'): number {
  let spot = root;
  for (const step of path) {
    const below = spot.below.get(step);
    if (below === undefined) return spot.value;
    spot = below;
  }
  return part === 'key' ? spot.key : spot.value;
}

/** Line and column of an offset, both from 1. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
}

/** Lists and objects within one another beyond DEPTH_MAX, or in a circle. */
export function isTooDeep(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth >= DEPTH_MAX) return true;
  return Object.values(value).some((below) => isTooDeep(below, depth + 1));
}

export const tooDeep = `lists and groups lie in one another more than ${DEPTH_MAX} deep, or in a circle`;
