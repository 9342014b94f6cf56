/** Option trees and the paths into them: shared words of resolve.ts and its parts. */

export type Path = readonly (string | number)[];
export type Tree = Record<string, unknown>;

/** What one source said, and where exactly. */
export interface Layer {
  readonly tree: Tree;
  origin(path: Path): string;
}

/** A mistake that the schema cannot see. `text` is read after the path. */
export interface Problem {
  readonly path: Path;
  readonly text: string;
  readonly got?: unknown;
  /** Where it was said, if not where the path was. */
  readonly origin?: string;
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
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every value that is not itself a tree or a list of trees. */
export function leaves(value: unknown, path: Path = []): { path: Path; value: unknown }[] {
  if (value === undefined) return [];
  if (isTree(value)) {
    return Object.entries(value).flatMap(([key, below]) => leaves(below, [...path, key]));
  }
  if (Array.isArray(value) && value.some(isTree)) {
    return value.flatMap((below, index) => leaves(below, [...path, index]));
  }
  return [{ path, value }];
}
