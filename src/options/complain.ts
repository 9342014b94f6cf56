/** Problems of options as sentences: path, expected, got, nearest known key, where it was said. */
import { explain, isSecret } from './explain.ts';
import { nearest } from './nearest.ts';
import { dotted, isTree, type Path, type Problem } from './paths.ts';

/** What we read of zod's issues. */
export interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  /** Of a text or a group: what is wrong with it as either. */
  readonly errors?: readonly (readonly Issue[])[];
}

/** One line per problem, in the order of their discovery, one per path. */
export function complaints(
  issues: readonly Issue[],
  problems: readonly Problem[],
  said: unknown,
  origins: ReadonlyMap<string, string>,
): string[] {
  const lines = new Map<string, string>();
  const add = (key: string, line: string) => {
    if (!lines.has(key)) lines.set(key, line);
  };
  for (const problem of problems) {
    const path = dotted(problem.path);
    const origin = problem.origin ?? originOf(path, origins);
    const got = 'got' in problem ? `, got ${shown(problem.got, problem.path)}` : '';
    add(path, `${path}${path && ' '}${problem.text}${got}${origin && ` (${origin})`}`);
  }
  for (const issue of issues.flatMap((each) => alternatives(each, said))) {
    const path = issue.path as Path;
    for (const key of issue.keys ?? []) {
      const full = dotted([...path, key]);
      const origin = originOf(full, origins);
      add(full, `${full} is not an option${hint(path, key)}${origin && ` (${origin})`}`);
    }
    if (issue.code === 'unrecognized_keys') continue;
    const full = dotted(path);
    const origin = originOf(full, origins);
    const value = valueAt(said, path);
    const got = value === undefined ? 'nothing' : shown(value, path);
    add(full, `${full} must be ${expected(issue)}, got ${got}${origin && ` (${origin})`}`);
  }
  return [...lines.values()];
}

/** Where a text or a group may stand and a group does: what is wrong inside it. */
function alternatives(issue: Issue, said: unknown): Issue[] {
  if (!issue.errors || !isTree(valueAt(said, issue.path as Path))) return [issue];
  const asGroup = issue.errors.find((each) =>
    each.every(({ code, path }) => code !== 'invalid_type' || path.length > 0),
  );
  return (asGroup ?? []).map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
}

/** `upstreams[3].url` as the row's `upstreams[].url`. */
const rowPath = (path: readonly PropertyKey[]) => dotted(path).replaceAll(/\[\d+\]/g, '[]');

function expected(issue: Issue): string {
  // Only refinements of the schema carry a text of ours.
  if (issue.code === 'custom') return issue.message;
  const wanted = rowPath(issue.path);
  const row = explain().find(({ path }) => path === wanted);
  if (row) return row.expected;
  const list = explain().find(({ path }) => wanted === `${path}[]`);
  return list?.itemExpected ?? 'a group of options';
}

function hint(path: Path, key: string): string {
  const group = rowPath(path);
  const prefix = group === '' ? '' : `${group}.`;
  const siblings = new Set<string>();
  for (const row of explain()) {
    if (row.path.startsWith(prefix)) {
      siblings.add(row.path.slice(prefix.length).split(/[.[]/)[0]);
    }
  }
  const meant = nearest(key, [...siblings]);
  if (meant !== undefined) return `; did you mean ${dotted([...path, meant])}?`;
  const elsewhere = explain().find((row) => row.path.split('.').at(-1) === key);
  return elsewhere ? `; did you mean ${elsewhere.path}?` : '';
}

/** A group that was said as a whole has its origin at itself; a missing value at its neighbours. */
function originOf(path: string, origins: ReadonlyMap<string, string>): string {
  const own = origins.get(path);
  if (own !== undefined) return own;
  for (const [known, origin] of origins) {
    if (known.startsWith(`${path}.`) || known.startsWith(`${path}[`)) return origin;
  }
  const parent = path.replace(/(\.[^.[]*|\[\d+\])$/, '');
  return parent === path ? '' : originOf(parent, origins);
}

function valueAt(said: unknown, path: Path): unknown {
  let value = said;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

const SHOWN_CHARACTERS_MAX = 60;

/** A value in a message: short, on one line, without secrets. */
function shown(value: unknown, path: readonly PropertyKey[]): string {
  if (holdsSecret(path)) return `${kindOf(value)} (hidden)`;
  if (typeof value === 'string') return JSON.stringify(shorten(withoutPassword(value)));
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) {
    return String(value);
  }
  return kindOf(value);
}

/** Also where a whole group stands at the path as something else: a text that did not parse may hold the group's keys. */
function holdsSecret(path: readonly PropertyKey[]): boolean {
  const own = rowPath(path);
  const below = (row: string) => row.startsWith(`${own}.`) || row.startsWith(`${own}[`);
  return isSecret(path) || explain().some((row) => row.secret && below(row.path));
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isTree(value)) return 'a group of options';
  if (typeof value === 'string') return 'a text';
  return value === undefined || value === null ? 'nothing' : `a ${typeof value}`;
}

const withoutPassword = (text: string) => text.replaceAll(/\/\/[^/@\s]*@/g, '//…@');

const shorten = (text: string) =>
  text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
