/**
 * From what the user said in five places to one frozen object: flags > environment > file > code > default. Every problem
 * is reported at once, with path, expected, got, nearest known key and where it was said. Secrets never appear in a message.
 */
import { MillraceError } from '../errors.ts';
import { type Complaint, complaints, lineOf } from './complain.ts';
import { crossChecks } from './cross-checks.ts';
import { doubts } from './doubts.ts';
import { placeModules } from './modules.ts';
import { type Env, environmentLayer, flagLayer } from './named.ts';
import { Origins } from './origins.ts';
import { dotted, isTree, type Layer, leaves, type Problem, type Tree } from './paths.ts';
import { readConfig } from './read-config.ts';
import { type Options, schema, type UserOptions } from './schema.ts';
import { fillSecrets } from './secrets.ts';

export interface Sources {
  /** By option path, as typed on the command line: `{ 'server.port': '8080' }`. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** `process.env` or a part of it. */
  readonly env?: Env;
  /** Path of a YAML, TOML or JSON file. */
  readonly file?: string;
  readonly code?: UserOptions;
}

export interface Resolved {
  readonly options: Options;
  /** Where each option came from: `flag --port`, `environment MILLRACE_SERVER_PORT`, `file a.yaml:3:9`, `code`, `default`. */
  readonly origins: ReadonlyMap<string, string>;
  /** What is allowed and most likely not meant. */
  readonly warnings: readonly Complaint[];
}

/** `resolved` is absent when there are problems. */
export interface Inspection {
  readonly resolved?: Resolved;
  readonly problems: readonly Complaint[];
  readonly warnings: readonly Complaint[];
}

/**
 * Resolves all options.
 *
 * @throws MILLRACE_OPTION_INVALID with every problem; MILLRACE_CONFIG_UNREADABLE when the file cannot be read or parsed.
 */
export function resolveOptions(sources: Sources = {}): Resolved {
  const { resolved, problems } = inspectOptions(sources);
  if (resolved) return resolved;
  const lines = problems.map(lineOf).join('\n');
  throw new MillraceError('MILLRACE_OPTION_INVALID', { problems: lines });
}

/** Resolves all options, or says everything that is wrong with them. @throws MILLRACE_CONFIG_UNREADABLE */
export function inspectOptions(sources: Sources): Inspection {
  const problems: Problem[] = [];
  const warned: Problem[] = [];
  const origins = new Origins();
  const merged = emptyTree();
  for (const layer of layers(sources, problems)) {
    merge(merged, layer.tree);
    origins.note(layer);
  }
  const filled = fillSecrets(merged, [], {
    env: sources.env ?? {},
    folderOf: (path) => origins.layerOf(path)?.folder ?? '.',
    problems,
    warnings: warned,
  });
  const result = schema.safeParse(filled);
  if (result.success) {
    problems.push(...crossChecks(result.data));
    warned.push(...doubts(result.data));
  }
  const issues = result.error?.issues ?? [];
  const wrong = complaints({ issues, problems, said: merged, origins });
  const warnings = complaints({ issues: [], problems: warned, said: merged, origins });
  if (wrong.length > 0 || !result.success) return { problems: wrong, warnings };
  const options = freeze(result.data);
  return {
    resolved: { options, origins: texts(options, origins), warnings },
    problems: [],
    warnings,
  };
}

/** Weakest first. */
function layers(sources: Sources, problems: Problem[]): Layer[] {
  const list: Layer[] = [];
  if (isTree(sources.code)) list.push({ tree: sources.code, origin: () => 'code' });
  else if (sources.code !== undefined) {
    problems.push({ path: [], text: 'the options must be an object', got: sources.code });
  }
  if (sources.file !== undefined) list.push(readConfig(sources.file, problems));
  if (sources.env) list.push(environmentLayer(sources.env, problems));
  if (sources.flags) list.push(flagLayer(sources.flags));
  return list.map((layer) => ({ ...layer, tree: placeModules(layer.tree, layer.folder) }));
}

/** Without a prototype: a key named `__proto__` in a file is an unknown key like any other. */
const emptyTree = (): Tree => Object.create(null) as Tree;

/** Objects merge key by key; everything else, lists too, replaces what a weaker source said. */
function merge(into: Tree, from: Tree): void {
  for (const [key, value] of Object.entries(from)) {
    if (value === undefined) continue;
    if (!isTree(value)) {
      into[key] = value;
      continue;
    }
    if (!isTree(into[key])) into[key] = emptyTree();
    merge(into[key] as Tree, value);
  }
}

function texts(options: Options, origins: Origins): ReadonlyMap<string, string> {
  const all = leaves(options).map(({ path }) => {
    const layer = origins.saidBy(path);
    return [dotted(path), layer?.origin(path, 'value') ?? 'default'] as const;
  });
  return new Map(all);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const below of Object.values(value)) freeze(below);
    Object.freeze(value);
  }
  return value;
}
