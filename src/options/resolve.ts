/**
 * From what the user said in five places to one frozen object: flags > environment > file > code > default. Every problem
 * is reported at once, with path, expected, got, nearest known key and where it was said. Secrets never appear in a message.
 */
import { MillraceError } from '../errors.ts';
import { complaints } from './complain.ts';
import { isSecret } from './explain.ts';
import { type Env, environmentLayer, flagLayer } from './named.ts';
import { dotted, isTree, type Layer, leaves, type Path, type Problem, type Tree } from './paths.ts';
import { readConfig } from './read-config.ts';
import { type Options, schema, type UserOptions } from './schema.ts';

export interface Sources {
  /** By option path, as typed on the command line: `{ 'server.port': '8080' }`. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** `process.env` or a part of it. */
  readonly env?: Env;
  /** Path of a YAML or JSON file. */
  readonly file?: string;
  readonly code?: UserOptions;
}

export interface Resolved {
  readonly options: Options;
  /** Where each option came from: `flag --port`, `environment MILLRACE_SERVER_PORT`, `file a.yaml:3`, `code`, `default`. */
  readonly origins: ReadonlyMap<string, string>;
}

/**
 * Resolves all options.
 *
 * @throws MILLRACE_OPTION_INVALID with every problem; MILLRACE_CONFIG_UNREADABLE when the file cannot be read or parsed.
 */
export function resolveOptions(sources: Sources = {}): Resolved {
  const problems: Problem[] = [];
  const origins = new Map<string, string>();
  const merged = emptyTree();
  for (const layer of layers(sources, problems)) {
    merge(merged, layer.tree);
    note(origins, layer);
  }
  const filled = fillSecrets(merged, [], sources.env ?? {}, problems) as Tree;
  const result = schema.safeParse(filled);
  if (result.success) problems.push(...crossChecks(result.data));
  const lines = complaints(result.error?.issues ?? [], problems, merged, origins);
  if (lines.length > 0 || !result.success) {
    throw new MillraceError('MILLRACE_OPTION_INVALID', { problems: lines.join('\n') });
  }
  for (const { path } of leaves(result.data)) {
    if (!origins.has(dotted(path))) origins.set(dotted(path), 'default');
  }
  return { options: freeze(result.data), origins };
}

/** Weakest first. */
function layers(sources: Sources, problems: Problem[]): Layer[] {
  const list: Layer[] = [];
  if (isTree(sources.code)) list.push({ tree: sources.code, origin: () => 'code' });
  else if (sources.code !== undefined) {
    problems.push({ path: [], text: 'the options must be an object', got: sources.code });
  }
  if (sources.file !== undefined) list.push(readConfig(sources.file));
  if (sources.env) list.push(environmentLayer(sources.env, problems));
  if (sources.flags) list.push(flagLayer(sources.flags));
  return list;
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

function note(origins: Map<string, string>, layer: Layer): void {
  const said = leaves(layer.tree);
  for (const { path } of said) {
    const list = path.findIndex((key) => typeof key === 'number');
    const whole = dotted(list < 0 ? path : path.slice(0, list));
    for (const known of origins.keys()) {
      if (known === whole || known.startsWith(`${whole}[`)) origins.delete(known);
    }
  }
  for (const { path } of said) origins.set(dotted(path), layer.origin(path));
}

/** In a secret, the whole text `${NAME}` stands for the environment variable NAME. */
function fillSecrets(value: unknown, path: Path, env: Env, problems: Problem[]): unknown {
  if (Array.isArray(value)) {
    return value.map((below, index) => fillSecrets(below, [...path, index], env, problems));
  }
  if (isTree(value)) {
    const copy = emptyTree();
    for (const [key, below] of Object.entries(value)) {
      copy[key] = fillSecrets(below, [...path, key], env, problems);
    }
    return copy;
  }
  if (typeof value !== 'string' || !isSecret(path)) return value;
  const name = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value)?.[1];
  if (name === undefined) return value;
  const secret = env[name];
  if (secret) return secret;
  problems.push({ path, text: `names the environment variable ${name}, which is not set` });
  return value;
}

/** Pairs of which the first must be more than the second, or it strikes before the other had its chance. */
const ordered = [
  // Otherwise a silent client is closed before it was ever asked.
  ['server', 'idleTimeoutMs', 'pingIntervalMs'],
  // Otherwise a healthy thread is replaced between two signs of life.
  ['threads', 'hungAfterMs', 'heartbeatMs'],
] as const;

/** What must hold between options. */
function crossChecks(options: Options): Problem[] {
  const problems: Problem[] = [...duplicates(options)];
  for (const [index, { url }] of options.upstreams.entries()) {
    const { username, password } = new URL(url);
    if (username === '' && password === '') continue;
    // The URL stands in logs and in the status; a key does not.
    const text = 'must not hold a user or password; use apiKey';
    problems.push({ path: ['upstreams', index, 'url'], text });
  }
  for (const [group, more, less] of ordered) {
    const values: Readonly<Record<string, unknown>> = options[group];
    const [got, least] = [Number(values[more]), Number(values[less])];
    if (got > least) continue;
    const text = `must be more than ${group}.${less} (${least})`;
    problems.push({ path: [group, more], text, got });
  }
  return problems;
}

/** Names and paths that are there twice. */
function duplicates(options: Options): Problem[] {
  const names = options.upstreams.map(({ name }, index) => [['upstreams', index, 'name'], name]);
  const keys = options.keys.flatMap((key, index) =>
    typeof key === 'string' ? [] : [[['keys', index, 'name'], key.name]],
  );
  const secrets = options.keys.map((key, index) =>
    typeof key === 'string' ? [['keys', index], key] : [['keys', index, 'key'], key.key],
  );
  const paths = Object.entries(options.paths).map(([key, path]) => [['paths', key], path]);
  return [names, keys, secrets, paths].flatMap((group) => {
    const first = new Map<string, Path>();
    return (group as [Path, string][]).flatMap(([path, got]) => {
      const taken = first.get(got);
      if (taken === undefined) first.set(got, path);
      return taken === undefined ? [] : [{ path, text: `must differ from ${dotted(taken)}`, got }];
    });
  });
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const below of Object.values(value)) freeze(below);
    Object.freeze(value);
  }
  return value;
}
