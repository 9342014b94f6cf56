/** Option trees and the paths into them: shared words of resolve.ts and its parts. */

export type Path = readonly (string | number)[];
export type Tree = Record<string, unknown>;

/** A key, or the value behind it. */
export type Part = 'key' | 'value';

/** A place in a file; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What one source said, and where exactly. */
export interface Layer {
  readonly tree: Tree;
  /** For a person: `flag --port`, `file a.yaml:3:9`. */
  origin(path: Path, part?: Part): string;
  /** For a machine; absent where there is no file. */
  place?(path: Path, part?: Part): Place;
  /** The folder that relative paths start from; absent: the current one. */
  readonly folder?: string;
}

/** A mistake that the schema cannot see. `text` is read after the path. */
export interface Problem {
  readonly path: Path;
  readonly text: string;
  readonly got?: unknown;
  /** Read after what was there: `did you mean …?` */
  readonly hint?: string;
  /** Where it was said, if not where the path was. */
  readonly origin?: string;
  readonly place?: Place;
}

/** `['upstreams', 0, 'url']` as `upstreams[0].url`. */
export function dotted(path: readonly PropertyKey[]): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += `${text === '' ? '' : '.'}${String(key)}`;
  }
  return text;
}

export function isTree(value: unknown): value is Tree {
  // TOML's dates are objects too.
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

/** Every value that is not itself a tree or a list of trees; an empty tree is one. */
export function leaves(value: unknown, path: Path = []): { path: Path; value: unknown }[] {
  if (value === undefined) return [];
  if (isTree(value)) {
    const entries = Object.entries(value);
    if (entries.length === 0 && path.length > 0) return [{ path, value }];
    return entries.flatMap(([key, below]) => leaves(below, [...path, key]));
  }
  if (Array.isArray(value) && value.some(isTree)) {
    return value.flatMap((below, index) => leaves(below, [...path, index]));
  }
  return [{ path, value }];
}
