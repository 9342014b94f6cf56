/** A configuration file (YAML, TOML or JSON, by its name) as a layer that knows the line and column of every key and value. */
import { dirname, extname } from 'node:path';
import { MillraceError } from '../errors.ts';
import { explain } from './explain.ts';
import { parseJson } from './files/json.ts';
import { offsetOf, type Parser, placeOf, type Spot } from './files/parsed.ts';
import { parseToml } from './files/toml.ts';
import { parseYaml } from './files/yaml.ts';
import {
  dotted,
  isTree,
  type Layer,
  type Part,
  type Path,
  type Problem,
  type Tree,
} from './paths.ts';
import { readBounded, textOf } from './read-bounded.ts';

/** More than any configuration needs; a larger file is a wrong file. */
const CONFIG_BYTES_MAX = 1024 * 1024;

const parsers: Readonly<Partial<Record<string, Parser>>> = {
  '.yaml': parseYaml,
  '.yml': parseYaml,
  '.toml': parseToml,
  '.json': parseJson,
};

/** Keys that stand twice become problems; the layer keeps one of the values. @throws MILLRACE_CONFIG_UNREADABLE, never with the text of a line. */
export function readConfig(file: string, problems: Problem[]): Layer {
  const parser = parsers[extname(file).toLowerCase()];
  // Whoever named the file otherwise may have meant another language.
  const guess = parser ? '' : ' (read as YAML: its name ends in none of .yaml, .yml, .toml, .json)';
  const text = textIn(file);
  const parsed = (parser ?? parseYaml)(text);
  const at = (offset: number) => ({ file, ...placeOf(text, offset) });
  if ('offset' in parsed) {
    const { line, column } = at(parsed.offset);
    throw unreadable(`${file}:${line}:${column}`, `${parsed.text}${guess}`);
  }
  // An empty file says nothing.
  const value = parsed.value ?? {};
  if (!isTree(value)) throw unreadable(file, `${noOptions}${guess}`);
  for (const { path, offset, first } of parsed.twice) {
    const place = at(offset);
    const origin = `file ${file}:${place.line}:${place.column}`;
    problems.push({ path, text: `stands twice, first in line ${at(first).line}`, origin, place });
  }
  const place = (path: Path, part: Part = 'value') => at(offsetOf(parsed.root, path, part));
  return {
    tree: treeOf(value, parsed.root, problems, at),
    folder: dirname(file),
    place,
    origin(path, part) {
      const { line, column } = place(path, part);
      return `file ${file}:${line}:${column}`;
    },
  };
}

function textIn(file: string): string {
  try {
    return textOf(readBounded(file, CONFIG_BYTES_MAX).bytes);
  } catch (error) {
    throw unreadable(file, (error as Error).message, error);
  }
}

type At = (offset: number) => { file: string; line: number; column: number };

const noOptions =
  'it must hold options by name, such as "server:" and, indented below, "port: 8080"';

function treeOf(value: Tree, root: Spot, problems: Problem[], at: At): Tree {
  const tree = withoutEmptyGroups(value, []);
  if (!Object.hasOwn(tree, '$schema')) return tree;
  // For editors: which schema completes and checks the file.
  const { $schema, ...rest } = tree;
  if (typeof $schema !== 'string') {
    const place = at(offsetOf(root, ['$schema'], 'value'));
    const origin = `file ${place.file}:${place.line}:${place.column}`;
    problems.push({ path: ['$schema'], text: 'must be a text', got: $schema, origin, place });
  }
  return rest;
}

/** A group whose every line is commented out is nothing (null) in YAML: it says nothing. */
function withoutEmptyGroups(tree: Tree, path: Path): Tree {
  const kept = Object.create(null) as Tree;
  for (const [key, value] of Object.entries(tree)) {
    const below = [...path, key];
    if (value === null && isGroup(dotted(below))) continue;
    kept[key] = isTree(value) ? withoutEmptyGroups(value, below) : value;
  }
  return kept;
}

const isGroup = (path: string) => explain().some((row) => row.path.startsWith(`${path}.`));

function unreadable(file: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('MILLRACE_CONFIG_UNREADABLE', { file, reason }, { cause });
}
