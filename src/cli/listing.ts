/** Options on a terminal: all of them, or those in force with where each came from. */
import { explain, isSecret, type OptionRow } from '../options/explain.ts';
import { dotted, leaves } from '../options/paths.ts';
import type { Resolved } from '../options/resolve.ts';

/** Every option with its default, environment name and sentence. */
export function listOptions(): string {
  return explain().map(describe).join('\n');
}

function describe(row: OptionRow): string {
  const fallback = row.fallback === undefined ? 'no default' : JSON.stringify(row.fallback);
  const names = [row.env, row.flag].filter((name) => name !== undefined).join(', ');
  return [
    `${row.path}  (${row.expected}; ${row.required ? 'required' : fallback})`,
    `    ${row.sentence}`,
    ...(names === '' ? [] : [`    ${names}`]),
    '',
  ].join('\n');
}

/** Every environment name, as a file of the environment has it, with its default commented out. */
export function listEnvironment(): string {
  const own = '# The configuration file.\n#MILLRACE_CONFIG=\n';
  const rows = explain().flatMap((row) => {
    if (row.env === undefined) return [];
    const { fallback } = row;
    const text = row.kind === 'list' && Array.isArray(fallback) ? fallback.join(',') : fallback;
    const shown = typeof text === 'string' ? text : (JSON.stringify(text) ?? '');
    return [`# ${row.sentence} (${row.expected})\n#${row.env}=${shown}\n`];
  });
  return [own, ...rows].join('');
}

/** One option in force. */
export interface ResolvedRow {
  readonly path: string;
  /** Absent for secrets. */
  readonly value?: unknown;
  readonly secret: boolean;
  readonly origin: string;
}

export function resolvedRows({ options, origins }: Resolved): ResolvedRow[] {
  return leaves(options).map(({ path, value }) => {
    const empty = Array.isArray(value) && value.length === 0;
    const secret = isSecret(path) && !empty;
    const name = dotted(path);
    return { path: name, ...(secret ? {} : { value }), secret, origin: origins.get(name) ?? '' };
  });
}

/** The options in force, one a line, with their origin. Secrets are hidden. */
export function listResolved(resolved: Resolved): string {
  const lines = resolvedRows(resolved).map(({ path, value, secret, origin }) => {
    return `${path} = ${secret ? '(hidden)' : JSON.stringify(value)}  # ${origin}`;
  });
  return `${lines.join('\n')}\n`;
}
