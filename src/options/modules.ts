/** Every way to say where a module is (URL, path, path relative to a configuration file) as the text of a file: URL. */
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isTree, type Tree } from './paths.ts';

/**
 * A copy of what a source said, with its modules in place. `folder`: what relative paths start from; without it they stay, and the
 * schema refuses them.
 */
export function placeModules(tree: Tree, folder?: string): Tree {
  const placed: Tree = { ...tree };
  const put = (value: unknown) => place(value, folder);
  if (tree['hooks'] instanceof URL || typeof tree['hooks'] === 'string') {
    placed['hooks'] = { module: put(tree['hooks']) };
  } else placed['hooks'] = placeIn(tree['hooks'], put);
  if (isTree(tree['providers'])) placed['providers'] = mapValues(tree['providers'], put);
  if (isTree(tree['dialects'])) {
    placed['dialects'] = mapValues(tree['dialects'], (each) => placeIn(each, put));
  }
  if (Array.isArray(tree['routes'])) {
    placed['routes'] = tree['routes'].map((each: unknown) => placeIn(each, put));
  }
  return placed;
}

function placeIn(value: unknown, put: (value: unknown) => unknown): unknown {
  return isTree(value) && 'module' in value ? { ...value, module: put(value['module']) } : value;
}

function mapValues(tree: Tree, change: (value: unknown) => unknown): Tree {
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, change(value)]));
}

function place(value: unknown, folder: string | undefined): unknown {
  if (value instanceof URL) return value.href;
  if (typeof value !== 'string' || value === '' || /^[a-z][a-z0-9+-]+:/i.test(value)) return value;
  if (isAbsolute(value)) return pathToFileURL(value).href;
  return folder === undefined ? value : pathToFileURL(resolve(folder, value)).href;
}
