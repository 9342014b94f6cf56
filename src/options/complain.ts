/** Problems of options as sentences: path, expected, got, nearest known key, where it was said. */
import { explain, isSecret, type OptionRow } from './explain.ts';
import { hintFor, hintForGroup } from './hints.ts';
import { nearest } from './nearest.ts';
import type { Origins } from './origins.ts';
import { dotted, isTree, type Part, type Path, type Place, type Problem } from './paths.ts';

/** What we read of zod's issues. */
export interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  /** Of a text or a group: what is wrong with it as either. */
  readonly errors?: readonly (readonly Issue[])[];
}

/** One thing that is wrong. */
export interface Complaint {
  readonly path: string;
  /** The whole sentence, without its origin. */
  readonly text: string;
  /** What a value here must be. */
  readonly expected?: string;
  /** What was there, without secrets. */
  readonly got?: string;
  /** The key that was most likely meant. */
  readonly meant?: string;
  /** For a person: `flag --port`, `file a.yaml:3:9`. */
  readonly origin?: string;
  readonly place?: Place;
}

/** A complaint as one line. */
export const lineOf = ({ text, origin }: Complaint) => (origin ? `${text} (${origin})` : text);

export interface Findings {
  readonly issues: readonly Issue[];
  readonly problems: readonly Problem[];
  /** What the user said, before secrets were filled in. */
  readonly said: unknown;
  readonly origins: Origins;
}

/** In the order of their discovery, one per path. */
export function complaints({ issues, problems, said, origins }: Findings): Complaint[] {
  const found = new Map<string, Complaint>();
  const add = (complaint: Complaint) => {
    if (!found.has(complaint.path)) found.set(complaint.path, complaint);
  };
  const where = (path: Path, part: Part) => {
    const layer = origins.layerOf(path);
    const origin = layer?.origin(path, part) ?? '';
    const place = layer?.place?.(path, part);
    return { ...(origin ? { origin } : {}), ...(place ? { place } : {}) };
  };
  for (const problem of problems) {
    const { path, text, origin, place } = problem;
    const got = 'got' in problem ? shown(problem.got, path) : undefined;
    const known =
      origin === undefined ? where(path, 'value') : { origin, ...(place ? { place } : {}) };
    const parts = [
      [dotted(path), text].filter((part) => part !== '').join(' '),
      ...(got === undefined ? [] : [`, got ${got}`]),
      ...(problem.hint === undefined ? [] : [`; ${problem.hint}`]),
    ];
    const sentence = parts.join('');
    add({ path: dotted(path), text: sentence, ...(got === undefined ? {} : { got }), ...known });
  }
  for (const issue of issues.flatMap((each) => alternatives(each, said))) {
    const path = issue.path as Path;
    for (const key of issue.keys ?? []) add(unknownKey(path, key, where([...path, key], 'key')));
    if (issue.code === 'unrecognized_keys') continue;
    const place = where(path, 'value');
    add({ ...wrongValue(issue, valueAt(said, path), place.origin), ...place });
  }
  return [...found.values()];
}

function unknownKey(group: Path, key: string, where: object): Complaint {
  const path = dotted([...group, key]);
  const meant = meantBy(group, key);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return {
    path,
    text: `${path} is not an option${hint}`,
    ...(meant === undefined ? {} : { meant }),
    ...where,
  };
}

function wrongValue(issue: Issue, value: unknown, origin: string | undefined): Complaint {
  const path = dotted(issue.path);
  const { row, expected } = expectation(issue);
  const many = Array.isArray(value) && expected.startsWith('a list of at most');
  const got = many ? `a list of ${value.length}` : shown(value, issue.path);
  const hint = row ? hintFor(row, value, origin) : hintForGroup(value);
  return {
    path,
    text: `${path} must be ${expected}, got ${got}${hint === undefined ? '' : `; ${hint}`}`,
    expected,
    got,
  };
}

/** Where a text or a group may stand and a group does: what is wrong inside it. */
function alternatives(issue: Issue, said: unknown): Issue[] {
  if (!issue.errors || !isTree(valueAt(said, issue.path as Path))) return [issue];
  const asGroup = issue.errors.find((each) =>
    each.every(({ code, path }) => code !== 'invalid_type' || path.length > 0),
  );
  if (!asGroup) return [issue];
  return asGroup.map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
}

/** `upstreams[3].url` as the row's `upstreams[].url`, `dialects.mine.path` as `dialects.*.path`. */
function rowPath(path: readonly PropertyKey[]): string {
  const names = explain().some((row) => row.kind === 'names' && row.path === path[0]);
  const generic = path.map((key, at) => (names && at === 1 ? '*' : key));
  return dotted(generic).replaceAll(/\[\d+\]/g, '[]');
}

function expectation(issue: Issue): { row?: OptionRow; expected: string } {
  const wanted = rowPath(issue.path);
  const row = explain().find(({ path }) => path === wanted);
  // Only refinements of the schema carry a text of ours.
  if (issue.code === 'custom') return { expected: issue.message };
  if (row) return { row, expected: row.expected };
  const list = explain().find(({ path }) => [`${path}[]`, `${path}.*`].includes(wanted));
  return { expected: list?.itemExpected ?? 'a group of options' };
}

function meantBy(path: Path, key: string): string | undefined {
  const group = rowPath(path);
  const prefix = group === '' ? '' : `${group}.`;
  const siblings = new Set<string>();
  for (const row of explain()) {
    if (row.path.startsWith(prefix)) {
      siblings.add(row.path.slice(prefix.length).split(/[.[]/)[0]);
    }
  }
  const meant = nearest(key, [...siblings]);
  if (meant !== undefined) return dotted([...path, meant]);
  return explain().find((row) => row.path.split('.').at(-1) === key)?.path;
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
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'object') return kindOf(value);
  const hidden = typeof value === 'string' ? holdsSecret(path) : isSecret(path);
  if (hidden) return `${kindOf(value)} (hidden)`;
  if (typeof value === 'string') return JSON.stringify(shorten(withoutPassword(value)));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
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
  if (value instanceof Date) return 'a date';
  if (isTree(value)) return 'a group of options';
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

const withoutPassword = (text: string) => text.replaceAll(/\/\/[^/@\s]*@/g, '//…@');

const shorten = (text: string) =>
  text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
