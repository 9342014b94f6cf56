/** What differs between two resolved configurations, as sentences without secrets, and whether a running engine can follow. */
import { MillraceError } from '../errors.ts';
import { explain, type OptionRow } from './explain.ts';
import { isTree, type Tree } from './paths.ts';
import type { Options } from './schema.ts';

export interface Change {
  readonly path: string;
  /** `stream.gapTimeoutMs 30000 → 10000`; of a secret, only that it changed. */
  readonly text: string;
  readonly effect: OptionRow['effect'];
}

/** In the order of the schema. */
export function changesOf(before: Options, after: Options): Change[] {
  return explain().flatMap((row) => {
    if (row.path.includes('[]')) return [];
    const [old, now] = [before, after].map((options) => valueAt(options, row.path));
    if (same(old, now)) return [];
    if (!isNamedList(old) || !isNamedList(now)) return [change(row, row.path, old, now)];
    return listChanges(row, old, now);
  });
}

/** @throws MILLRACE_OPTION_FIXED with every option that a running engine cannot change. */
export function refuseFixed(changes: readonly Change[]): void {
  const fixed = changes.filter(({ effect }) => effect === 'restart');
  if (fixed.length === 0) return;
  const lines = fixed.map(({ text }) => `${text}: needs a restart`);
  throw new MillraceError('MILLRACE_OPTION_FIXED', { problems: lines.join('\n') });
}

type Named = Tree & { readonly name: string };

function isNamedList(value: unknown): value is readonly Named[] {
  return (
    Array.isArray(value) && value.every((each) => isTree(each) && typeof each.name === 'string')
  );
}

/** Entries are known by their names. */
function listChanges(list: OptionRow, before: readonly Named[], after: readonly Named[]): Change[] {
  const { path, effect } = list;
  const said = (name: string, what: string) => ({ path, text: `${path}.${name} ${what}`, effect });
  const kept = (among: readonly Named[], others: readonly Named[]) =>
    among.map(({ name }) => name).filter((name) => others.some((other) => other.name === name));
  const changes: Change[] = [];
  for (const old of before) {
    const now = after.find(({ name }) => name === old.name);
    if (!now) changes.push(said(old.name, 'removed'));
    else changes.push(...entryChanges(list, old, now));
  }
  for (const { name } of after) {
    if (!before.some((old) => old.name === name)) changes.push(said(name, 'added'));
  }
  if (!same(kept(before, after), kept(after, before))) {
    changes.push({ path, text: `${path} in another order`, effect });
  }
  return changes;
}

function entryChanges(list: OptionRow, before: Named, after: Named): Change[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    if (same(before[key], after[key])) return [];
    const row = explain().find(({ path }) => path === `${list.path}[].${key}`) ?? list;
    const path = `${list.path}.${before.name}.${key}`;
    return [{ ...change(row, path, before[key], after[key]), path: list.path }];
  });
}

function change(
  { secret, effect }: OptionRow,
  path: string,
  before: unknown,
  after: unknown,
): Change {
  const text = secret ? `${path} changed` : `${path} ${shown(before)} → ${shown(after)}`;
  return { path, text, effect };
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function valueAt(options: Options, path: string): unknown {
  let at: unknown = options;
  for (const key of path.split('.')) at = isTree(at) ? at[key] : undefined;
  return at;
}
