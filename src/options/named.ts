/** Options by name: environment variables and flags, both named after the option's path. */
import { explain, type OptionRow } from './explain.ts';
import { nearest } from './nearest.ts';
import { dotted, type Layer, type Path, type Problem, type Tree } from './paths.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Names of the environment that are ours without being options. */
const reserved: ReadonlySet<string> = new Set(['MILLRACE_CONFIG', 'MILLRACE_NATIVE']);

/** Names that an orchestrator sets for a service called millrace: not ours, and no mistake. */
const orchestrator = /_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP)(_\w+)?$/;

export function environmentLayer(env: Env, problems: Problem[]): Layer {
  const known = new Map<string, OptionRow>();
  for (const row of explain()) if (row.env !== undefined) known.set(row.env, row);
  const said: { row: OptionRow; value: unknown }[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('MILLRACE_') || text === undefined || reserved.has(name)) continue;
    const row = known.get(name);
    if (row) said.push({ row, value: typed(row, text) });
    else if (!orchestrator.test(name) && !/^(tcp|udp):\/\//.test(text)) {
      const meant = nearest(name, [...known.keys()]);
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      problems.push({ path: [name], text: `is not an option${hint}`, origin: 'environment' });
    }
  }
  return layer(said, (row) => `environment ${row.env}`);
}

export function flagLayer(flags: Readonly<Record<string, unknown>>): Layer {
  const rows = new Map(explain().map((row) => [row.path, row]));
  const said: { row: OptionRow; value: unknown }[] = [];
  for (const [path, value] of Object.entries(flags)) {
    const row = rows.get(path);
    if (row === undefined) throw new TypeError(`there is no option ${path}`);
    if (value === undefined) continue;
    said.push({ row, value: typeof value === 'string' ? typed(row, value) : value });
  }
  return layer(said, (row) => `flag ${row.flag ?? row.path}`);
}

function layer(
  said: readonly { row: OptionRow; value: unknown }[],
  origin: (row: OptionRow) => string,
): Layer {
  const tree: Tree = {};
  for (const { row, value } of said) {
    const keys = row.path.split('.');
    const last = keys.pop() as string;
    let at = tree;
    for (const key of keys) at = (at[key] ??= {}) as Tree;
    at[last] = value;
  }
  return {
    tree,
    origin(path: Path) {
      const text = dotted(path);
      const of = said.find(({ row }) => text === row.path || text.startsWith(`${row.path}[`));
      return of ? origin(of.row) : '';
    },
  };
}

/** Text as the option's type. Text that does not parse stays text: the schema says what is wrong with it. */
function typed(row: OptionRow, text: string): unknown {
  const trimmed = text.trim();
  switch (row.kind) {
    case 'integer':
    case 'number':
      return /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : text;
    case 'boolean':
      if (/^(true|1|yes|on)$/i.test(trimmed)) return true;
      return /^(false|0|no|off)$/i.test(trimmed) ? false : text;
    case 'list':
      return trimmed === ''
        ? []
        : (jsonList(trimmed) ?? trimmed.split(',').map((item) => item.trim()));
    case 'objects':
    case 'names':
      return json(text);
    case 'text':
    case 'choice':
      break;
  }
  return text;
}

/** A list may be written as JSON too, where its entries are groups or hold commas. */
function jsonList(text: string): unknown[] | undefined {
  const parsed = text.startsWith('[') ? json(text) : undefined;
  return Array.isArray(parsed) ? parsed : undefined;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
